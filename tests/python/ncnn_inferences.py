"""Some inferences with ncnn, for counting their instructions under emulation.

    ncnn_inferences.py PACKAGE STEM COUNT CHANNELS ROWS COLUMNS

Runs STEM.ncnn.param COUNT times on an image of that size with the ncnn in the folder PACKAGE. Needs nothing but
Python's standard library: the emulated Python has no packages.
"""

import sys


def main() -> None:
    """Run the inferences."""
    package, stem, count, *sizes = sys.argv[1:]
    channels, rows, columns = map(int, sizes)
    sys.path.insert(0, package)
    # The package itself would import its model zoo, which wants to be online.
    from ncnn import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    if net.load_param(f"{stem}.ncnn.param") or net.load_model(f"{stem}.ncnn.bin"):
        raise RuntimeError(f"ncnn cannot load {stem}.ncnn.param")
    image = ncnn.Mat(columns, rows, channels)
    image.fill(0.5)
    for _ in range(int(count)):
        extractor = net.create_extractor()
        extractor.input("in0", image)
        status, _ = extractor.extract("out0")
        if status:
            raise RuntimeError(f"ncnn ended with {status}")


if __name__ == "__main__":
    main()
