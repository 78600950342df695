"""Images of another size, numbers as OpenCV's: (…, height, width, channel).

An axis is resized by taps: which old lines a new one is made of, and how much of each. Of uint8 the weights are whole
numbers of 2048ths, and what is rounded, and how, is OpenCV's.
"""

import math

import torch

NEAREST, LINEAR, CUBIC, AREA, LANCZOS, LINEAR_EXACT = range(6)
METHODS = "0 (nearest), 1 (linear), 2 (cubic), 3 (area), 4 (Lanczos) or 5 (linear, exact)"
UNIT = 2048

Taps = tuple[torch.Tensor, torch.Tensor]  # old lines, and their weights: (new lines, taps)


def resized(data: torch.Tensor, height: int, width: int, method: int) -> torch.Tensor:
    """data (…, H, W, C) at (…, height, width, C); ``method`` is OpenCV's number."""
    rows, columns = data.shape[-3:-1]
    if method == NEAREST:
        data = data.index_select(-3, _nearest(rows, height, data.device))
        return data.index_select(-2, _nearest(columns, width, data.device))
    if method == LINEAR_EXACT and not data.is_floating_point():
        return _exact(data, height, width)
    if rows == 2 * height and columns == 2 * width and method in (LINEAR, LINEAR_EXACT):
        method = AREA
    if method == AREA and rows >= height and columns >= width:
        return _area(data, height, width)
    kernel = {CUBIC: _cubic, AREA: _enlarging, LANCZOS: _lanczos}.get(method, _linear)
    across, down = kernel(columns, width, data.device), kernel(rows, height, data.device)
    if data.dtype is not torch.uint8:
        return _tapped(_tapped(data, across, -2), down, -3)
    if method not in (CUBIC, LANCZOS):
        across = _settled(across)
    across, down = ((index, torch.round(weights * UNIT).to(torch.int32)) for index, weights in (across, down))
    narrow = _tapped(data.to(torch.int32), across, -2)
    if method == CUBIC:
        return _cubic_lines(narrow, down)
    if method == LANCZOS:
        return _rounded_sum(narrow, down)
    upper, lower = (narrow.index_select(-3, down[0][:, i]) for i in (0, 1))
    shares = [down[1][:, i].view(-1, 1, 1) for i in (0, 1)]
    total = (((upper >> 4) * shares[0]) >> 16) + (((lower >> 4) * shares[1]) >> 16)
    return ((total + 2) >> 2).clamp(0, 255).to(torch.uint8)


def _tapped(data: torch.Tensor, taps: Taps, axis: int) -> torch.Tensor:
    index, weights = taps
    shape = (-1, *[1] * (-1 - axis))
    total: torch.Tensor | None = None
    for lines, shares in zip(index.unbind(1), weights.to(data.dtype).unbind(1)):
        part = data.index_select(axis, lines) * shares.view(shape)
        total = part if total is None else total + part
    assert total is not None
    return total


def _rounded_sum(narrow: torch.Tensor, down: Taps) -> torch.Tensor:
    return ((_tapped(narrow, down, -3) + (1 << 21)) >> 22).clamp(0, 255).to(torch.uint8)


def _cubic_lines(narrow: torch.Tensor, down: Taps) -> torch.Tensor:
    """Of each line whole groups of eight numbers in float32, the rest in whole numbers."""
    lines = narrow.flatten(-2)[..., None]
    count = lines.shape[-2] // 8 * 8
    grouped = _tapped(lines[..., :count, :].to(torch.float32), (down[0], down[1] * (1 / UNIT**2)), -3)
    parts = (torch.round(grouped).clamp(0, 255).to(torch.uint8), _rounded_sum(lines[..., count:, :], down))
    return torch.cat(parts, -2).reshape(*narrow.shape[:-3], len(down[0]), *narrow.shape[-2:])


def _nearest(size: int, new_size: int, device: torch.device) -> torch.Tensor:
    places = torch.floor(torch.arange(new_size, dtype=torch.float64, device=device) * (1 / (new_size / size)))
    return places.to(torch.int64).clamp(max=size - 1)


def _places(size: int, new_size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The old line before each new one, and how far behind that it lies (float32)."""
    place = (torch.arange(new_size, dtype=torch.float64, device=device) + 0.5) * (1 / (new_size / size)) - 0.5
    place = place.to(torch.float32)
    before = torch.floor(place)
    return before.to(torch.int64), place - before


def _pair(before: torch.Tensor, share: torch.Tensor, size: int) -> Taps:
    index = torch.stack((before.clamp(0, size - 1), (before + 1).clamp(0, size - 1)), 1)
    return index, torch.stack((1 - share, share), 1)


def _settled(taps: Taps) -> Taps:
    """Without shares between two lines of which one is missing (both taps are then the same line)."""
    index, weights = taps
    alone = (index[:, 0] == index[:, 1])[:, None]
    return index, torch.where(alone, torch.tensor([1.0, 0.0], dtype=weights.dtype, device=weights.device), weights)


def _linear(size: int, new_size: int, device: torch.device) -> Taps:
    before, share = _places(size, new_size, device)
    return _pair(before, share, size)


def _enlarging(size: int, new_size: int, device: torch.device) -> Taps:
    """What ``AREA`` is where no axis shrinks: linear, but only between pixels that a new one touches."""
    inverse = new_size / size
    scale = 1 / inverse
    number = torch.arange(new_size, dtype=torch.float64, device=device)
    before = torch.floor(number * scale)
    share = ((number + 1) - (before + 1) * inverse).to(torch.float32)
    share = torch.where(share <= 0, 0, share - torch.floor(share))
    before = before.to(torch.int64)
    return _pair(before, share, size)


def _around(before: torch.Tensor, taps: int, size: int) -> torch.Tensor:
    offsets = torch.arange(1 - taps // 2, 1 + taps // 2, device=before.device)
    return (before[:, None] + offsets).clamp(0, size - 1)


def _cubic(size: int, new_size: int, device: torch.device) -> Taps:
    """Cubic convolution with a slope of -0.75."""
    before, x = _places(size, new_size, device)
    slope, y = -0.75, 1 - x
    first = ((slope * (x + 1) - 5 * slope) * (x + 1) + 8 * slope) * (x + 1) - 4 * slope
    second = ((slope + 2) * x - (slope + 3)) * x * x + 1
    third = ((slope + 2) * y - (slope + 3)) * y * y + 1
    return _around(before, 4, size), torch.stack((first, second, third, 1 - first - second - third), 1)


def _lanczos(size: int, new_size: int, device: torch.device) -> Taps:
    """A sinc under the middle lobe of another four times as wide, its weights brought to a sum of 1."""
    before, x = _places(size, new_size, device)
    distance = x[:, None] + 3 - torch.arange(8, dtype=torch.float32, device=device)
    angle = distance.to(torch.float64) * (math.pi / 4)
    # sin(angle) * sin(4 angle) / angle ** 2 up to a factor: the second sine differs between taps in its sign alone
    weights = torch.sin(angle) * torch.tensor([1.0, -1.0] * 4, dtype=torch.float64, device=device) / angle**2
    weights = weights.to(torch.float32)
    total = sum(weights.unbind(1))
    weights = weights * (1 / total)[:, None]
    middle = torch.tensor([0.0] * 3 + [1.0] + [0.0] * 4, device=device)
    return _around(before, 8, size), torch.where(x[:, None] < torch.finfo(torch.float32).eps, middle, weights)


# -- shrinking --------------------------------------------------------------------------------------------------------


def _covered(size: int, new_size: int, device: torch.device) -> Taps:
    """How much of each new line is which old one: the lengths that they have in common."""
    scale = 1 / (new_size / size)
    start = torch.arange(new_size, dtype=torch.float64, device=device)[:, None] * scale
    end = start + scale
    line = torch.floor(start) + torch.arange(math.ceil(scale) + 1, dtype=torch.float64, device=device)
    common = torch.minimum(end, line + 1) - torch.maximum(start, line)
    weights = torch.where((common > 1e-3) & (line < size), common / (size - start).clamp(max=scale), 0)
    return line.to(torch.int64).clamp(max=size - 1), weights.to(torch.float32)


def _area(data: torch.Tensor, height: int, width: int) -> torch.Tensor:
    rows, columns = data.shape[-3:-1]
    whole = data.dtype is torch.uint8
    if rows % height == 0 and columns % width == 0:
        down, across = rows // height, columns // width
        blocks = data.reshape(*data.shape[:-3], height, down, width, across, data.shape[-1])
        total = (blocks.to(torch.int32) if whole else blocks).sum((-4, -2), dtype=torch.int32 if whole else None)
        if whole and down == across == 2 and data.shape[-1] in (1, 3, 4):
            return ((total + 2) >> 2).to(torch.uint8)  # halves upwards; below, to even numbers
        mean = total * torch.tensor(1 / (down * across), dtype=torch.float32, device=data.device)
    else:
        wide = data.to(torch.float32) if whole else data
        across, down = _covered(columns, width, data.device), _covered(rows, height, data.device)
        mean = _tapped(_tapped(wide, across, -2), down, -3)
    return torch.round(mean).clamp(0, 255).to(torch.uint8) if whole else mean.to(data.dtype)


# -- exact ------------------------------------------------------------------------------------------------------------


def _exact_taps(size: int, new_size: int, device: torch.device) -> Taps:
    place = (torch.arange(new_size, dtype=torch.float64, device=device) + 0.5) * (1 / (new_size / size)) - 0.5
    before = torch.floor(place).to(torch.int64)
    return _settled(_pair(before, place - before, size))


def _exact(data: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Linear; the weights of uint8 are whole numbers of 256ths, those of other whole numbers of 2 ** -32."""
    whole = data.dtype is torch.uint8
    unit = 2.0 ** (8 if whole else 32)

    def rounded(taps: Taps) -> Taps:
        second = torch.round(taps[1][:, 1] * unit)
        weights = torch.stack((unit - second, second), 1)
        return taps[0], weights.to(torch.int32) if whole else weights / unit

    rows, columns = data.shape[-3:-1]
    across = rounded(_exact_taps(columns, width, data.device))
    down = rounded(_exact_taps(rows, height, data.device))
    wide = data.to(torch.int32 if whole else torch.float64)
    total = _tapped(_tapped(wide, across, -2), down, -3)
    return ((total + (1 << 15)) >> 16).to(torch.uint8) if whole else torch.floor(total + 0.5).to(data.dtype)
