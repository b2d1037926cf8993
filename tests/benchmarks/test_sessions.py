"""Runs the comparison of sessions with small sizes, and checks their settings."""

import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks.provenance import measured_on
from benchmarks.sessions import Variant, chosen, feeds, main, rate, variants
from service.engine.sessions import load_model
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model


def test_variants_contain_each_combination_once() -> None:
    made = variants([1, 2], [1, 3])
    assert len({*made}) == len(made) == 16
    assert Variant(2, 3, False, True) in made


@pytest.mark.parametrize("variant", variants([1], [1, 2]), ids=lambda variant: variant.cells())
def test_session_has_the_settings_of_its_row(variant: Variant) -> None:
    options = variant.open(generator_model().SerializeToString()).get_session_options()
    assert options.intra_op_num_threads == variant.threads
    assert options.enable_cpu_mem_arena == variant.arena
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == ("1" if variant.spinning else "0")


def test_choice_of_the_service_is_read_from_its_session(tmp_path: Path) -> None:
    path = save(generator_model(), tmp_path / "digits.onnx", generator_card())
    for threads in (1, 2, 6):
        model = load_model(path, "cpu", threads)
        own = chosen(model)
        assert own.callers == model.parallel_batches
        assert own.callers - 1 + own.threads <= threads  # the caller is one of the threads of a session
        assert own.threads >= 1


def test_feeds_fit_the_model(tmp_path: Path) -> None:
    generator = load_model(save(generator_model(), tmp_path / "digits.onnx", generator_card()), "cpu", 1)
    stylizer = load_model(save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card()), "cpu", 1)
    assert generator.run(feeds(generator.card, 3, 64)).shape[0] == 3
    assert stylizer.run(feeds(stylizer.card, 2, 64)).shape == (2, 64, 64, 3)
    assert feeds(stylizer.card, 2, 64)["styles"].sum() == pytest.approx(2)


def test_callers_run_at_the_same_time() -> None:
    together, seen = threading.Barrier(3), set[int]()

    def run() -> int:
        if (me := threading.get_ident()) not in seen:
            seen.add(me)
            together.wait(60)  # breaks if the other callers do not run
        return 5

    assert rate(run, 3, 0.05) > 0
    assert len(seen) == 3


def test_rate_counts_images() -> None:
    calls: list[int] = []

    def run() -> int:
        calls.append(0)
        return 0

    assert rate(run, 1, 0) == 0  # no images were made
    assert len(calls) == 1  # at least one call, even without time


def test_table_contains_all_variants(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- sessions -->\n<!-- /sessions -->\n")
    main(seconds=0.01, rounds=2, callers=[2], threads=[1], size=64, table=page)
    _, _, how, _, head, _, *rows, _, _ = page.read_text().splitlines()
    assert how.startswith(f"{measured_on()} 2 rounds of 0.01 s each;")
    assert [cell.strip() for cell in head.strip("|").split("|")][1:5] == ["callers", "threads", "spinning", "arena"]
    cells = [[cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["the service", "", "", "", ""]
    assert [row[1:5] for row in cells[1:]] == [["2", "1", a, b] for a in ("yes", "no") for b in ("yes", "no")]
    assert cells[0][6] == cells[0][8] == "1.00 (1.00 to 1.00)"
    numbers = np.array([[float(row[at].replace(",", "")) for at in (5, 7)] for row in cells])
    assert (numbers > 0).all()
