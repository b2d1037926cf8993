"""A walk between three images, as an animation and as single frames: python examples/walk.py."""

import ganvas

with ganvas.Client() as client:
    client.interpolate([7, 11, 13], model="toon-heads", steps=12, fps=12).save("walk.webp")
    frames = client.interpolate([7, 11], model="toon-heads", steps=4, loop=False, format="npy")

for i, frame in enumerate(frames):
    frame.save(f"frame-{i}.png")
print(f"walk.webp, and {len(frames)} frames from seed {frames.seeds[0]} to seed {frames.seeds[1]}")
