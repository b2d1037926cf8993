"""A folder of photos, painted; started again, it goes on where it was: python examples/stylize_folder.py PHOTOS PAINTED."""

import sys

import ganvas

photos, painted = sys.argv[1:]

with ganvas.Client() as client:
    report = client.stylize_many(photos, painted, style="starry-night:0.7,great-wave:0.3", keep_color=0.3)

for failure in report.failures:
    print(failure, file=sys.stderr)
print(f"{report}; what was made from what: {report.manifest}")
sys.exit(not report.ok)
