"""The style network: sizes, upsampling, conditional normalisation and blends."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from ganvas.card import StylizerCard
from training.onnx_file import ExportedModel, read_card
from training.run import Run
from training.style.config import Upsampling
from training.style.export import style_space
from training.style.network import ConditionalInstanceNorm, Stylizer, UpsampledConv, is_style_parameter, stylizer_from
from training.style.plan import StylePlan

ROOT = Path(__file__).parents[3]
VARIANTS: list[dict[str, Any]] = [
    {}, {"stride": 2, "kernel": 5}, {"halvings": 3, "kernel": 3}, {"separable": True}, {"stride": 2, "halvings": 3},
    {"upsampling": "nearest"},
]  # fmt: skip


@pytest.fixture(params=VARIANTS, ids=str)
def stylizer(request: pytest.FixtureRequest) -> Stylizer:
    torch.manual_seed(0)
    network = Stylizer(styles=3, width=4, residual_blocks=1, **request.param)
    for name, parameter in network.named_parameters():
        if name.endswith(("norm.scale", "norm.bias")):  # untrained styles are all alike
            nn.init.normal_(parameter, 1.0 if name.endswith("scale") else 0.0, 0.5)
    return network


def test_painted_images_have_the_size_of_the_photos(stylizer: Stylizer) -> None:
    multiple = stylizer.size_multiple
    for height, width in ((4, 2), (5, 9), (16, 8)):
        painted = stylizer(torch.rand(1, 3, multiple * height, multiple * width) * 255, torch.eye(3)[:1])
        assert painted.shape == (1, 3, multiple * height, multiple * width)
        assert painted.isfinite().all()


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
def test_upsampled_conv_equals_upsampling_then_convolution(upsampling: Upsampling) -> None:
    layer, x = UpsampledConv(3, 4, upsampling), torch.rand(2, 3, 6, 9)
    upsampled = F.interpolate(x, scale_factor=2, mode=upsampling)
    after = F.conv2d(upsampled, layer.conv.weight, layer.conv.bias, padding="same")
    assert torch.allclose(layer(x)[:, :, 2:-2, 2:-2], after[:, :, 2:-2, 2:-2], atol=1e-6)  # but for the padding


@torch.no_grad()
def test_bilinear_upsampling_leaves_no_lattice_behind_a_norm_and_relu() -> None:
    torch.manual_seed(0)
    noise = torch.randn(1, 8, 128, 128)
    spread = {}
    for upsampling in get_args(Upsampling):
        layer = UpsampledConv(8, 16, upsampling)
        pixels = F.relu(F.instance_norm(layer(noise)))
        means = pixels.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean(dim=(2, 4))  # by position modulo 2
        spread[upsampling] = (means.amax(dim=(2, 3)) - means.amin(dim=(2, 3))).mean().item()
    assert spread["bilinear"] < 0.6 * spread["nearest"]


@torch.no_grad()
def test_conditional_instance_norm_matches_a_calculation_by_hand() -> None:
    norm, x = ConditionalInstanceNorm(2, styles=3), torch.rand(2, 2, 5, 4) * 9
    nn.init.normal_(norm.scale)
    nn.init.normal_(norm.bias)
    styles = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    normal = (x - x.mean(dim=(2, 3), keepdim=True)) / (x.var(dim=(2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    scale = torch.stack([norm.scale[1], (norm.scale[0] + norm.scale[2]) / 2])[:, :, None, None]
    bias = torch.stack([norm.bias[1], (norm.bias[0] + norm.bias[2]) / 2])[:, :, None, None]
    assert torch.allclose(norm(x, styles @ norm.vectors()), normal * scale + bias, atol=1e-5)


@torch.no_grad()
def test_a_style_is_a_vector(stylizer: Stylizer) -> None:
    for name, parameter in stylizer.named_parameters():
        if is_style_parameter(name):
            nn.init.normal_(parameter, 0.5)
    photos, vectors = torch.rand(3, 3, 32, 32) * 255, stylizer.vectors()
    assert vectors.shape == (3, stylizer.style_size)
    assert torch.equal(stylizer.paint(photos, vectors), stylizer(photos, torch.eye(3)))
    assert not torch.allclose(stylizer.paint(photos, vectors.roll(1, 0)), stylizer(photos, torch.eye(3)), atol=1)


@torch.no_grad()
def test_images_do_not_depend_on_their_neighbours(stylizer: Stylizer) -> None:
    photos = torch.rand(3, 3, 32, 32) * 255
    together = stylizer(photos, torch.eye(3))
    for i in range(3):
        assert torch.allclose(stylizer(photos[i : i + 1], torch.eye(3)[i : i + 1])[0], together[i], atol=0.05)
    assert not torch.allclose(together[0], stylizer(photos[:1], torch.eye(3)[1:2])[0], atol=1)


@torch.no_grad()
def test_blend_of_two_equal_styles_is_that_style(stylizer: Stylizer) -> None:
    for name, parameter in stylizer.named_parameters():
        if name.endswith(("norm.scale", "norm.bias")):
            parameter[1] = parameter[0]
    photo = torch.rand(1, 3, 32, 32) * 255
    one, blend = stylizer(photo, torch.tensor([[1.0, 0, 0]])), stylizer(photo, torch.tensor([[0.4, 0.6, 0]]))
    assert torch.allclose(one, blend, atol=0.01)


def test_the_shipped_start_is_the_network_of_the_shipped_painters() -> None:
    run = Run.open(ROOT / "training" / "starts" / "painters", StylePlan)
    card = read_card(ROOT / "exported" / "painters.onnx")
    assert isinstance(card, StylizerCard)
    names = [style.name for style in card.styles]
    assert list(run.plan.styles) == names
    weights = run.checkpoint_to_export()["network"]
    network = stylizer_from(run.plan.config, [*names, "mine"], weights, names)
    assert style_space(network) == card.style_space  # so styles that extend the start fit the shipped model
    with Image.open(ROOT / "docs" / "images" / "photo.jpg") as file:
        photo = np.asarray(file.convert("RGB").resize((256, 192)))[None]
    model = ExportedModel(ROOT / "exported" / "painters.onnx", StylizerCard)
    one, rows = np.ones(1, np.float32), card.style_vectors()
    for k in (0, len(names) - 1):
        shipped = model.run({"images": photo, "styles": rows[[k]], "strength": one, "keep_color": 0 * one})
        with torch.no_grad():
            start = network(torch.from_numpy(photo.copy()).permute(0, 3, 1, 2).float(), torch.eye(len(names) + 1)[[k]])
        difference = start.clamp(0, 255).permute(0, 2, 3, 1).numpy() - shipped
        assert np.abs(difference).mean() < 6  # half precision, and int8
