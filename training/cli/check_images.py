"""What `python -m training check` does: checks images before a long training."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from ganvas.files import write_whole
from training.config import load_config
from training.data.duplicates import Group, duplicates, duplicates_sheet
from training.data.image_folder import ImageFolder, open_image_folder
from training.data.paintings import style_name
from training.data.survey import Survey, survey
from training.errors import DataError
from training.gan.advice import Advice, advise, largest_size, size_for, too_small
from training.images import format_of
from training.program import command
from training.style.config import StyleConfig
from training.text import count_of, name_from

_WIDTH = 80  # columns
_LABEL = 14
_MOST_NAMED = 3
_SIDES = (64, 128, 256, 512, 1024)
_STYLE_CONFIG = "style-cpu"
_MIN_PHOTOS = 4
_CROP_STEP, _LEAST_CROP = 8, 64  # of StyleConfig.crop_size


def check_images(data: Path, size: int | None, out: Path | None, *, style: bool, as_json: bool) -> bool:
    """Print what is found; the options are those of `training.cli.check.check`.

    Returns:
        Whether training accepts the images.
    """
    if out is not None:
        format_of(out)
    folder = open_image_folder(data)
    found = survey(folder, size or (_crop_size() if style else size_for(folder.sizes)))
    groups = duplicates({name: facts.look for name, facts in found.images.items()})
    advice = _advise_style(found) if style else advise(found)
    if as_json:
        typer.echo(json.dumps(_as_json(found, groups, advice), indent=2))
    else:
        typer.echo("\n".join([*_text(found, groups, advice), *_next(folder, found, advice, style=style)]))
    if out is not None and groups:
        sheet = duplicates_sheet(folder, groups)
        write_whole(out, lambda partial: sheet.save(partial, format=format_of(out)))
        typer.echo(f"Wrote {out}.", err=as_json)
    return advice.command is not None


def _advise_style(found: Survey) -> Advice:
    """Advice for a style network, whose images are photos to paint, or paintings to learn from."""
    config = load_config(_STYLE_CONFIG, StyleConfig)
    coarse = sum(min(facts.width, facts.height) < config.style_size for facts in found.images.values())
    reasons = [
        f"As photos: {count_of(len(found.images), 'image')} of {found.size} pixels or more; at least {_MIN_PHOTOS} are needed, "
        "100 are enough to try.",
        f"As paintings: {count_of(len(found.images) - coarse, 'image')} of {config.style_size} pixels or more"
        + (f"; {count_of(coarse, 'smaller image')} would give coarser strokes." if coarse else "."),
        *_equal_style_names(found),
    ]
    changes = () if found.size == config.crop_size else (f"crop_size={found.size}",)
    load_config(_STYLE_CONFIG, StyleConfig, changes)  # refuses a size that a style network cannot have
    words = ["--config", _STYLE_CONFIG, *(word for change in changes for word in ("--set", change))]
    words += ["--out", f"runs/{name_from(found.path.resolve().stem) or 'painter'}"]
    usable = len(found.images) >= _MIN_PHOTOS and not too_small(found)
    return Advice(
        config=_STYLE_CONFIG,
        changes=changes,
        reasons=tuple(reasons),
        time="15 to 30 minutes on two CPU cores; on a GPU, --config style is better",
        command=command("style", "--styles", "PAINTINGS", "--content", str(found.path), *words) if usable else None,
    )


def _equal_style_names(found: Survey) -> Iterator[str]:
    names: dict[str, str] = {}
    for file in found.images:
        try:
            name = style_name(file)
        except DataError as error:
            yield f"As paintings: {error}"
            continue
        if name in names:
            yield f"As paintings: {names[name]} and {file} would both be the style {name}. Rename one of them."
        names.setdefault(name, file)


def _crop_size() -> int:
    return load_config(_STYLE_CONFIG, StyleConfig).crop_size


def _text(found: Survey, groups: Sequence[Group], advice: Advice) -> Iterator[str]:
    images = found.images
    usable = "no image can be used" if not images else f"{count_of(len(images), 'image')} can be used"
    yield f"{found.path} at {found.size} x {found.size}: {usable}, {count_of(len(found.left_out), 'file')} left out."
    yield ""
    if images:
        yield from _row("Formats", _counts(Counter(facts.format for facts in images.values())))
        yield from _row("Shorter side", _sides(found))
        yield from _row("Shape", _shapes(found))
        yield from _row("Colour", _colours(found))
        if enlarged := [name for name, facts in images.items() if facts.enlarged]:
            verb = "looks" if len(enlarged) == 1 else "look"
            yield from _row(
                "Enlarged", f"{count_of(len(enlarged), 'image')} {verb} enlarged or blurred: no detail at {found.size} pixels "
                f"({_some(enlarged)}). A model learns the blur.",
            )  # fmt: skip
    if len(found.classes) > 1:
        yield from _row("Folders", _classes(found))
    yield from _row("Duplicates", _duplicates(groups))
    if found.left_out:
        yield from _row("Left out", "")
        yield from _left_out(found)
    yield ""
    yield from _row("Config", f"{' '.join([advice.config, *advice.changes])}; {advice.time}.")
    for reason in advice.reasons:
        yield from _row("", reason)
    yield ""


def _next(folder: ImageFolder, found: Survey, advice: Advice, *, style: bool) -> Iterator[str]:
    """The command that trains, or why training would refuse the images and the command that checks them again."""
    if advice.command is not None:
        yield "Next:"
        yield f"  {advice.command}"
        return
    words = ["check", str(found.path), *(["--style"] if style else [])]
    small = too_small(found)
    if not small:
        refusal = "there are too few. Add more, or repair the files that are left out. Then check again:"
    else:
        verb = "is" if len(small) == 1 else "are"
        refusal = f"{count_of(len(small), 'image')} {verb} smaller. Remove {'it' if len(small) == 1 else 'them'}"
        smallest = min(map(min, folder.sizes.values()))
        size = _largest_crop(smallest) if style else largest_size(smallest)
        if size is None:
            refusal += ". Then check again:"
        else:
            refusal += f", or train at {size} x {size}. To check at this size:"
            words += ["--size", str(size)]
    yield from textwrap.wrap(f"Training at {found.size} x {found.size} would refuse the images: {refusal}", _WIDTH)
    yield f"  {command(*words)}"


def _largest_crop(side: int) -> int | None:
    """The largest `crop_size` of a style network that fits a side in pixels; None if there is none."""
    return next((size for size in range(side - side % _CROP_STEP, _LEAST_CROP - 1, -_CROP_STEP)), None)


def _row(label: str, text: str) -> list[str]:
    """A label and a text beside it, in lines of at most 80 columns."""
    first, rest = f"{label:<{_LABEL}}", " " * _LABEL
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [label]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counter.most_common())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def _sides(found: Survey) -> str:
    """How many images have which shorter side, and the smallest and largest image."""
    sides = Counter(sum(min(facts.width, facts.height) >= side for side in _SIDES) for facts in found.images.values())
    words = [
        f"under {_SIDES[0]}",
        *(f"{least} to {above - 1}" for least, above in pairwise(_SIDES)),
        f"{_SIDES[-1]} or more",
    ]
    said = ", ".join(f"{sides[i]:,} of {words[i]}" for i in sorted(sides))
    by_size = sorted(found.images.items(), key=lambda item: min(item[1].width, item[1].height))
    ends = [f"{name} ({facts.width} x {facts.height})" for name, facts in (by_size[0], by_size[-1])]
    return f"{said} pixels; smallest {ends[0]}, largest {ends[1]}"


def _shapes(found: Survey) -> str:
    facts = found.images
    square = sum(each.width == each.height for each in facts.values())
    if square == len(facts):
        return "all square"
    wide = sum(each.width > each.height for each in facts.values())
    cut = [each.cropped for each in facts.values()]
    worst = max(facts, key=lambda name: facts[name].cropped)
    return (
        f"{square:,} square, {wide:,} wide, {len(facts) - square - wide:,} tall. The central square leaves out "
        f"{sum(cut) / len(cut):.0%} of an image on average, {facts[worst].cropped:.0%} of {worst}"
    )


def _colours(found: Survey) -> str:
    facts = found.images.values()
    grey, hidden = sum(each.grey for each in facts), sum(each.colourless and not each.grey for each in facts)
    said = [f"{len(facts) - grey:,} colour" + (f" ({hidden:,} with grey pixels only)" if hidden else ""), f"{grey:,} grey"]
    if 0 < grey < len(facts) and not found.transparency.is_common:
        said.append("grey ones are trained as colour")
    if transparent := sum(each.transparent for each in facts):
        kept = "the model learns (channels=4)" if found.transparency.is_common else "is placed on white"
        said.append(f"{transparent:,} with transparency, which {kept}")
    return ", ".join(said)


def _classes(found: Survey) -> str:
    classes = found.classes
    by_count = sorted(classes.items(), key=lambda item: item[1])
    (smallest, least), (largest, greatest) = by_count[0], by_count[-1]
    said = f"{len(classes)} with images: {smallest} has {least:,}, {largest} has {greatest:,}"
    return f"{said}, {greatest / least:.1f} times as many" if greatest > least else f"{len(classes)} with {least:,} images each"


def _duplicates(groups: Sequence[Group]) -> str:
    if not groups:
        return "none"
    exact, near = ([group for group in groups if group.exact is kind] for kind in (True, False))
    said = []
    for kind, of_kind in (("identical files", exact), ("images that look the same", near)):
        if of_kind:
            shown = "; ".join(" = ".join(group.names[:_MOST_NAMED]) for group in of_kind[:_MOST_NAMED])
            more = ", ..." if len(of_kind) > _MOST_NAMED else ""
            said.append(f"{count_of(len(of_kind), 'group')} of {kind}: {shown}{more}")
    return ". ".join(said)


def _left_out(found: Survey) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        yield from _row("", f"{len(names):,}: {reason} ({_some(names)})")


def _as_json(found: Survey, groups: Sequence[Group], advice: Advice) -> dict[str, Any]:
    images = {
        name: {
            "format": facts.format, "width": facts.width, "height": facts.height, "grey": facts.grey,
            "colourless": facts.colourless, "transparent": facts.transparent, "enlarged": facts.enlarged,
        }
        for name, facts in found.images.items()
    }  # fmt: skip
    return {
        "path": str(found.path),
        "size": found.size,
        "usable": advice.command is not None,
        "images": images,
        "left_out": found.left_out,
        "classes": found.classes,
        "duplicates": [{"names": list(group.names), "exact": group.exact} for group in groups],
        "advice": advice._asdict(),
    }
