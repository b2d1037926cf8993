"""GANs, as the shared parts of training see them."""

from ganvas.card import GeneratorCard
from training.gan.evaluate import EvaluateOptions, evaluate_generator
from training.gan.export import export_generator
from training.gan.plan import GanPlan
from training.gan.report.page import write_report
from training.gan.sample import SampleOptions, sample_generator
from training.kind import Kind, TableEntry

GAN = Kind(
    name="gan",
    plan=GanPlan,
    card=GeneratorCard,
    export=export_generator,
    evaluate=evaluate_generator,
    evaluate_options=EvaluateOptions,
    sample=sample_generator,
    sample_options=SampleOptions,
    write_report=write_report,
    table_entry=lambda card: TableEntry(names=card.classes),
)
