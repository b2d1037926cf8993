"""Style networks, as the shared parts of training see them."""

from ganvas.card import StylizerCard
from training.kind import Kind, TableEntry
from training.style.evaluate import EvaluateOptions, evaluate_stylizer
from training.style.export import export_stylizer
from training.style.plan import StylePlan
from training.style.report.page import write_report
from training.style.sample import SampleOptions, sample_stylizer
from training.text import cell


def _styles(card: StylizerCard) -> TableEntry:
    rows = (f"| `{s.name}` | {cell(s.title)} | {cell(s.artist)} | {s.year or ''} | {cell(s.licence)} |" for s in card.styles)
    return TableEntry(
        names=tuple(style.name for style in card.styles),
        section=("| style | title | artist | year | licence |", "| --- | --- | --- | --- | --- |", *rows),
    )


STYLE = Kind(
    name="style",
    plan=StylePlan,
    card=StylizerCard,
    export=export_stylizer,
    evaluate=evaluate_stylizer,
    evaluate_options=EvaluateOptions,
    sample=sample_stylizer,
    sample_options=SampleOptions,
    write_report=write_report,
    table_entry=_styles,
)
