"""A grid of samples of one seed at several truncations: python examples/sample_grid.py."""

from PIL import Image

import ganvas

COLUMNS = 8
TRUNCATIONS = (0.3, 0.6, 1.0)

with ganvas.Client() as client:
    rows = [client.sample(COLUMNS, model="digits", seed=7, truncation=truncation) for truncation in TRUNCATIONS]

width, height = rows[0][0].size
grid = Image.new("L", (COLUMNS * width, len(rows) * height))
for y, row in enumerate(rows):
    for x, image in enumerate(row):
        grid.paste(image, (x * width, y * height))
grid.save("grid.png")
print(f"grid.png: truncation {TRUNCATIONS} from top to bottom, seed {rows[0].seed}, digits@{rows[0].version}")
