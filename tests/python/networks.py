"""The networks of docs/support/networks.md: `networks.py list`, or `networks.py export OUT_DIR ROW...`.

A row is `NETWORK:EXPORTER:OPSET` and becomes `OUT_DIR/NETWORK.EXPORTER.OPSET.onnx`, as `torch.onnx.export` writes it
with no options beside these; `cargo xtask networks` starts this. Weights are random, but nothing that the network adds
or scales is negligible: see `randomise`.
"""

import argparse
import contextlib
import gc
import itertools
import json
import math
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))

from skipgate_models.export import TOLERANCE, deviation
from skipgate_models.files import replacing

CLASSES = 10
# Factors of what random blocks add, and of every channel that a normalisation scales.
SCALES = (0.5, 1.0)
# Standard deviation of biases and of embeddings that start from zeros.
SHIFT = 0.2
# How much more than `movement` is rounding still; as in crates/skipgate-fuzz.
NOISE_FACTOR = 100.0
# Images that the statistics of batch normalisations are taken from. Those of two images, which leave 8 values a channel
# where the last stages are 2x2, make rounding 6 to 27 times as large in FBNetV3 and EfficientNetV2.
IMAGES = 8
SEED = 0

# The last one is the newest that the exporter takes.
OPSETS = {"torchscript": (13, 17, 20), "dynamo": (13, 17, 23)}
COMBINATIONS = tuple((exporter, OPSETS[exporter][place]) for place in range(3) for exporter in OPSETS)


@dataclass(frozen=True)
class Network:
    """One member of a family of networks."""

    family: str
    # As its library calls it, with `tv_` in front for torchvision's.
    name: str
    size: int = 64
    # What makes it smaller, or lets it take smaller images.
    options: dict[str, Any] = field(default_factory=dict)
    # Exported by every exporter for every operator set.
    thorough: bool = False
    # Exporter and operator set, where those that it would get in turn fail.
    way: tuple[str, int] | None = None
    classes: int = CLASSES

    def make(self) -> nn.Module:
        """Build it."""
        if self.name.startswith("tv_"):
            options = {name: value for name, value in self.options.items() if name != "depth"}
            network = torchvision.models.get_model(self.name.removeprefix("tv_"), num_classes=self.classes, **options)
            if "depth" in self.options:
                network.encoder.layers = network.encoder.layers[: self.options["depth"]]
            return network
        return timm.create_model(self.name, pretrained=False, num_classes=self.classes, **self.options)


def _small(*, heads: int = 3, depth: int = 4) -> dict[str, Any]:
    """Options of a transformer that has no small member."""
    return {"img_size": 64, "depth": depth, "embed_dim": 64 * heads, "num_heads": heads}


# What people deploy comes first.
NETWORKS = (
    Network("ResNet", "resnet18", thorough=True),
    Network("ResNet", "tv_resnet50", thorough=True),
    Network("MobileNetV2", "tv_mobilenet_v2", thorough=True),
    Network("MobileNetV3", "tv_mobilenet_v3_small", thorough=True),
    Network("EfficientNet", "efficientnet_b0", thorough=True),
    Network("ViT", "vit_tiny_patch16_224", options={"img_size": 64}, thorough=True),
    Network("Swin", "tv_swin_t", thorough=True),
    Network("ConvNeXt", "convnext_atto", thorough=True),
    Network("ResNet", "tv_resnet18"),
    Network("ResNet", "resnet50"),
    Network("ResNet-D", "resnet26d"),
    Network("ResNeXt", "resnext50_32x4d"),
    Network("Wide ResNet", "tv_wide_resnet50_2"),
    Network("MobileNetV2", "mobilenetv2_050"),
    Network("MobileNetV3", "mobilenetv3_large_100"),
    Network("MobileNetV3", "tv_mobilenet_v3_large"),
    Network("MobileNetV4", "mobilenetv4_conv_small"),
    Network("MobileNetV4 hybrid", "mobilenetv4_hybrid_medium", way=("dynamo", 17)),
    Network("EfficientNet", "tv_efficientnet_b0"),
    Network("EfficientNet-Lite", "efficientnet_lite0"),
    Network("EfficientNet-Lite", "tf_efficientnet_lite0"),
    Network("EfficientNetV2", "tv_efficientnet_v2_s"),
    Network("EfficientNetV2", "tf_efficientnetv2_b0"),
    Network("EfficientNet-EdgeTPU", "efficientnet_es"),
    Network("MNASNet", "tv_mnasnet0_5"),
    Network("MNASNet", "semnasnet_050"),
    Network("RegNetX", "regnetx_002"),
    Network("RegNetX", "tv_regnet_x_400mf"),
    Network("RegNetY", "regnety_002"),
    Network("RegNetZ", "regnetz_005"),
    Network("ShuffleNetV2", "tv_shufflenet_v2_x0_5"),
    Network("ViT", "tv_vit_b_16", 64, {"image_size": 64, "depth": 2}),
    Network("DeiT", "deit_tiny_patch16_224", options={"img_size": 64}),
    Network("DeiT", "deit_tiny_distilled_patch16_224", options={"img_size": 64}),
    Network("DeiT III", "deit3_small_patch16_224", options={"img_size": 64}),
    Network("Swin", "swin_tiny_patch4_window7_224", 112, {"img_size": 112}),
    Network("SwinV2", "tv_swin_v2_t"),
    Network("SwinV2", "swinv2_tiny_window8_256", 128, {"img_size": 128}),
    Network("SwinV2-CR", "swinv2_cr_tiny_224", 112, {"img_size": 112}),
    Network("ConvNeXt", "tv_convnext_tiny"),
    Network("ConvNeXtV2", "convnextv2_atto"),
    Network("TinyViT", "tiny_vit_5m_224", 224),
    Network("PoolFormer", "poolformer_s12"),
    Network("PoolFormerV2", "poolformerv2_s12"),
    Network("SE-ResNet", "seresnet18"),
    Network("SE-ResNet", "legacy_seresnet18"),
    Network("ECA-ResNet", "ecaresnet26t"),
    Network("SKNet", "skresnet18"),
    Network("Res2Net", "res2net50_26w_4s"),
    Network("ResNeSt", "resnest14d"),
    Network("MixNet", "mixnet_s"),
    Network("GhostNet", "ghostnet_050"),
    Network("GhostNetV2", "ghostnetv2_100"),
    Network("FBNet", "fbnetc_100"),
    Network("FBNetV3", "fbnetv3_b"),
    Network("TinyNet", "tinynet_e"),
    Network("HardCoRe-NAS", "hardcorenas_a"),
    Network("Single-Path NAS", "spnasnet_100"),
    Network("LCNet", "lcnet_050"),
    Network("ReXNet", "rexnet_100"),
    Network("BEiT", "beit_base_patch16_224", options=_small(), way=("torchscript", 17)),
    Network("MaxViT", "maxvit_rmlp_pico_rw_256", 128, {"img_size": 128}, way=("torchscript", 17)),
    Network("MaxViT", "tv_maxvit_t", 224),
    Network("CoAtNet", "coatnet_nano_rw_224", 64, {"img_size": 64}),
    Network("CAFormer", "caformer_s18"),
    Network("ConvFormer", "convformer_s18"),
    Network("MLP-Mixer", "mixer_s32_224", 224),
    Network("ResMLP", "resmlp_12_224", options={"img_size": 64}),
    Network("gMLP", "gmlp_ti16_224", options={"img_size": 64}),
    Network("ConvMixer", "convmixer_768_32"),
    Network("EdgeNeXt", "edgenext_xx_small"),
    Network("EfficientFormer", "efficientformer_l1", 224),
    Network("EfficientFormerV2", "efficientformerv2_s0", 224),
    Network("EfficientViT (MIT)", "efficientvit_b0"),
    Network("EfficientViT (MIT)", "efficientvit_l1"),
    Network("EfficientViT (MSRA)", "efficientvit_m0", 224),
    Network("FastViT", "fastvit_t8"),
    Network("FastViT", "fastvit_sa12"),
    Network("MobileViT", "mobilevit_xxs", way=("torchscript", 17)),
    Network("MobileViTV2", "mobilevitv2_050"),
    Network("MobileOne", "mobileone_s0"),
    Network("RepVGG", "repvgg_a0"),
    Network("RepViT", "repvit_m0_9"),
    Network("RepGhost", "repghostnet_050"),
    Network("LeViT", "levit_128s", 224),
    Network("LeViT", "levit_256", 224),
    Network("LeViT", "levit_conv_128s", 224),
    Network("PiT", "pit_ti_224", 224),
    Network("CaiT", "cait_xxs24_224", options={"img_size": 64, "depth": 6}),
    Network("XCiT", "xcit_nano_12_p16_224"),
    Network("CrossViT", "crossvit_9_240", 240, way=("torchscript", 17)),
    Network("Twins-PCPVT", "twins_pcpvt_small", options={"img_size": 64}),
    Network("Twins-SVT", "twins_svt_small", 224),
    Network("PVTv2", "pvt_v2_b0"),
    Network("NFNet", "nfnet_l0"),
    Network("NFNet", "nf_regnet_b0"),
    Network("BiT (ResNetV2)", "resnetv2_50x1_bit"),
    Network("ResNetV2", "resnetv2_50"),
    Network("DLA", "dla34"),
    Network("HRNet", "hrnet_w18_small"),
    Network("HGNet", "hgnet_tiny"),
    Network("HGNetV2", "hgnetv2_b0"),
    Network("DPN", "dpn48b"),
    Network("DenseNet", "densenet121"),
    Network("CSPResNet", "cspresnet50"),
    Network("CSPResNeXt", "cspresnext50"),
    Network("CSPDarkNet", "cspdarknet53"),
    Network("CS3DarkNet", "cs3darknet_s"),
    Network("DarkNet", "darknet17"),
    Network("DarkNet", "darknet53"),
    Network("VoVNet", "vovnet39a"),
    Network("ESE-VoVNet", "ese_vovnet39b"),
    Network("Inception-ResNet", "inception_resnet_v2", 96),
    Network("Xception", "legacy_xception", 96),
    Network("Xception (aligned)", "xception41"),
    Network("LambdaResNet", "lambda_resnet26t"),
    Network("HaloNet", "halonet26t", 256, way=("dynamo", 17)),
    Network("BotNet", "botnet26t_256", 128, {"img_size": 128}),
    Network("GC-ResNet", "gcresnet33ts"),
    Network("GENet", "gernet_s"),
    Network("VOLO", "volo_d1_224", 112, {"img_size": 112}, way=("dynamo", 23)),
    Network("Visformer", "visformer_tiny", 224),
    Network("ConViT", "convit_tiny", 64, {"img_size": 64}),
    Network("Sequencer", "sequencer2d_s", 112, {"img_size": 112, "layers": (1, 1, 2, 1)}),
    Network("InceptionNeXt", "inception_next_atto"),
    Network("Next-ViT", "nextvit_small", 64),
    Network("Hiera", "hiera_tiny_224", 224, way=("torchscript", 17)),
    Network("MambaOut", "mambaout_femto"),
    Network("StarNet", "starnet_s050"),
    Network("SHViT", "shvit_s1", 128),
    Network("GC ViT", "gcvit_xxtiny", 224),
    Network("DaViT", "davit_tiny", 112),
    Network("FocalNet", "focalnet_tiny_srf"),
    Network("NesT", "nest_tiny_jx", 224, way=("torchscript", 17)),
    Network("TNT", "tnt_s_legacy_patch16_224", 224),
    Network("CoaT", "coat_tiny", 64, {"img_size": 64}),
    Network("CoaT-Lite", "coat_lite_tiny", 64, {"img_size": 64}),
    Network("EVA-02", "eva02_tiny_patch14_224", 56, {"img_size": 56}),
    Network("TResNet", "tresnet_m"),
    Network("SelecSLS", "selecsls42"),
    Network("FasterNet", "fasternet_t0"),
    Network("SwiftFormer", "swiftformer_xs", 224),
    Network("RDNet", "rdnet_tiny"),
    Network("iFormer", "iformer_t", 224),
    Network("MViTv2", "mvitv2_tiny", 224),
    Network(
        "ViT (relative positions)",
        "vit_relpos_small_patch16_224",
        options={"img_size": 64},
        way=("torchscript", 17),
    ),
    Network("ViTamin", "vitamin_small_224", 224),
    Network("SAM ViT", "samvit_base_patch16_224", 64, _small(), way=("torchscript", 17)),
    Network("GhostNetV3", "ghostnetv3_050"),
    Network("EfficientNet (conditional)", "efficientnet_cc_b0_4e"),
    Network("ViT hybrid", "vit_tiny_r_s16_p8_224", 64, {"img_size": 64}, way=("torchscript", 17)),
    Network("Bilinear attention", "bat_resnext26ts", 256, way=("torchscript", 17)),
    Network("NASNet", "nasnetalarge", 96),
    Network("PNASNet", "pnasnet5large", 96),
)


@dataclass(frozen=True)
class Row:
    """One way to export a network."""

    network: Network
    exporter: str
    opset: int

    @property
    def name(self) -> str:
        """What the command line and its file call it."""
        return f"{self.network.name}.{self.exporter}.{self.opset}"


def rows() -> Iterator[Row]:
    """Every network with one exporter and operator set, in turn, then some with the others."""
    turns = zip(NETWORKS, itertools.cycle(COMBINATIONS), strict=False)
    first = [Row(network, *(network.way or turn)) for network, turn in turns]
    yield from first
    for row in first:
        if row.network.thorough:
            yield from (Row(row.network, *way) for way in COMBINATIONS if way != (row.exporter, row.opset))


def randomise(network: nn.Module, images: Tensor) -> nn.Module:
    """Draw again what starts as a constant, and take the statistics of normalisations from `images`.

    Layers that start as nothing, such as a scale of 1e-6 or a last normalisation of 0, would hide a wrong block, and
    scales of 1 and shifts of 0 a wrong fold.
    """
    for name, parameter in network.named_parameters():
        if parameter.is_floating_point() and (_is_constant(parameter) or _is_negligible(parameter)):
            _draw(name, parameter.data)
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(_settle) for norm in norms]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return network


def _settle(norm: nn.modules.batchnorm._BatchNorm, inputs: tuple[Tensor]) -> None:
    """Give `norm` statistics like those of what it normalises, before it does."""
    over = [dimension for dimension in range(inputs[0].dim()) if dimension != 1]
    variance, mean = torch.var_mean(inputs[0], over, correction=0)
    # A channel that hardly varies would make rounding as large as the signal.
    variance = torch.maximum(variance, (mean / 2) ** 2).clamp(min=1e-3)
    norm.running_mean = mean + 0.1 * variance.sqrt() * torch.randn_like(mean)
    norm.running_var = variance * torch.empty_like(variance).uniform_(0.7, 1.4)


def _is_constant(parameter: Tensor) -> bool:
    return bool((parameter == parameter.flatten()[0]).all())


def _is_negligible(parameter: Tensor) -> bool:
    """Find weights that start as next to nothing, as those of BEiT's classifier."""
    is_matrix = sum(extent > 1 for extent in parameter.shape) > 1
    return is_matrix and bool(parameter.std() < 0.1 / math.sqrt(parameter[0].numel()))


def _draw(name: str, parameter: Tensor) -> None:
    last = name.rsplit(".", 1)[-1]
    is_matrix = sum(extent > 1 for extent in parameter.shape) > 1
    is_shift = "bias" in last or "beta" in last or "token" in last or "pos" in last
    if is_shift:
        nn.init.normal_(parameter, std=SHIFT)
    elif is_matrix:
        nn.init.normal_(parameter, std=1 / math.sqrt(parameter[0].numel()))
    else:
        nn.init.uniform_(parameter, *SCALES)


def export(row: Row, path: Path) -> None:
    """Write one file, unless ONNX Runtime computes something else from it than PyTorch."""
    network, images = made(row.network)
    image = images[:1]
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamo = {"external_data": False, "verbose": False} if row.exporter == "dynamo" else {}
        torch.onnx.export(
            network,
            (image,),
            str(temporary),
            dynamo=bool(dynamo),
            input_names=["image"],
            output_names=["logits"],
            opset_version=row.opset,
            **dynamo,
        )
        difference = deviation(network, temporary, images)
        if not difference <= max(TOLERANCE, NOISE_FACTOR * movement(network, images)):
            message = f"the exported model differs from PyTorch by {difference:.1e} of the largest logit"
            raise RuntimeError(message)


def made(network: Network) -> tuple[nn.Module, Tensor]:
    """Return the network with random weights, the same ones every time, and images."""
    torch.manual_seed(SEED)
    images = 2 * torch.rand(IMAGES, 3, network.size, network.size) - 1
    return randomise(network.make(), images), images


def movement(network: nn.Module, images: Tensor) -> float:
    """How far the logits move with inputs that are off by a unit in the last place, relative to the largest."""
    with torch.inference_mode():
        expected = network(images)
        moved = network(images * (1 + torch.finfo(images.dtype).eps))
        return float(((moved - expected).abs().amax(1) / expected.abs().amax(1)).max())


def main() -> None:
    """List the rows, or export some of them: what fails is written beside, and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    exporting = commands.add_parser("export")
    exporting.add_argument("folder", type=Path, metavar="OUT_DIR")
    exporting.add_argument("rows", nargs="*", metavar="ROW")
    arguments = parser.parse_args()
    if arguments.command == "list":
        json.dump([describe(row) for row in rows()], sys.stdout, indent=1)
        return
    wanted = {row.name: row for row in rows()}
    for name in arguments.rows or wanted:
        path = arguments.folder / f"{name}.onnx"
        if path.exists() or path.with_suffix(".error").exists():
            continue
        try:
            with contextlib.redirect_stdout(sys.stderr):
                export(wanted[name], path)
            print(name, flush=True)
        except Exception as error:
            # An exporter may raise whatever it likes.
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".error").write_text(f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}")
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
        gc.collect()


def describe(row: Row) -> dict[str, Any]:
    """Say of a row what is known of it before it is exported."""
    return {
        "name": row.name,
        "family": row.network.family,
        "network": row.network.name,
        "size": row.network.size,
        "options": ", ".join(f"{name}={value}" for name, value in row.network.options.items()),
        "exporter": row.exporter,
        "opset": row.opset,
    }


if __name__ == "__main__":
    main()
