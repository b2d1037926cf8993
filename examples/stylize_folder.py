"""Stylize a folder of photos. A second run continues: python examples/stylize_folder.py PHOTOS OUTPUT."""

import sys

import ganvas

photos, output = sys.argv[1:]

with ganvas.Client() as client:
    report = client.stylize_many(photos, output, style="starry-night:0.7,great-wave:0.3", keep_color=0.3)

for failure in report.failures:
    print(failure, file=sys.stderr)
print(f"{report}; each image's origin is in {report.manifest}")
sys.exit(not report.ok)
