"""The stacked effective PSF of Anderson & King in numpy, written from photometry.md 6.8 and 6.9, as a
yardstick for the program: splines by collocation of B-splines, gaps by dense least squares, fits by
Gauss-Newton with step halving."""

import warnings

import numpy as np

KERNEL = np.array([[0.041632, -0.080816, 0.078368, -0.080816, 0.041632],
                   [-0.080816, -0.019592, 0.200816, -0.019592, -0.080816],
                   [0.078368, 0.200816, 0.441632, 0.200816, 0.078368],
                   [-0.080816, -0.019592, 0.200816, -0.019592, -0.080816],
                   [0.041632, -0.080816, 0.078368, -0.080816, 0.041632]])


def nonzero(knots, span, x, degree):
    """The degree + 1 B-splines that do not vanish at x, by the triangle of Cox and de Boor."""
    out = [np.ones(len(x))]
    for d in range(1, degree + 1):
        below, new = np.zeros(len(x)), []
        for i in range(d):
            right, left = knots[span + i + 1], knots[span + i + 1 - d]
            part = out[i] / (right - left)
            new.append(below + (right - x) * part)
            below = (x - left) * part
        out = new + [below]
    return out


def basis(n, x):
    """Values of the n cubic B-splines with not-a-knot knots of samples 0...n-1, and their slopes, at x."""
    knots = np.concatenate([[0.0] * 4, np.arange(2.0, n - 2.0), [n - 1.0] * 4])
    span = np.clip(np.searchsorted(knots, x, side="right") - 1, 3, n - 1)
    value, slope, at = np.zeros((len(x), n)), np.zeros((len(x), n)), np.arange(len(x))
    for i, part in enumerate(nonzero(knots, span, x, 3)):
        value[at, span - 3 + i] = part
    for i, part in enumerate(nonzero(knots, span, x, 2)):
        first = span - 2 + i  # quadratic spline of this number: between the cubics before and at it
        part = 3.0 * part / (knots[first + 3] - knots[first])
        slope[at, first] += part
        slope[at, first - 1] -= part
    return value, slope


class Spline:
    """Interpolates a square image; 0 outside."""

    def __init__(self, image):
        self.n = len(image)
        nodes = np.linalg.inv(basis(self.n, np.arange(self.n))[0])
        self.c = nodes @ image @ nodes.T

    def rows(self, x):
        value, slope = basis(self.n, np.clip(x, 0, self.n - 1))
        inside = ((x >= 0) & (x <= self.n - 1))[:, None]
        return value * inside, slope * inside

    def grid(self, x, y):
        """Values, slopes along x and along y on the product of x and y: arrays (y, x)."""
        bx, dx = self.rows(x)
        by, dy = self.rows(y)
        return by @ self.c @ bx.T, by @ self.c @ dx.T, dy @ self.c @ bx.T


def hull_mask(present):
    """Nodes inside the convex hull of the present ones (gift wrapping)."""
    points = np.argwhere(present)[:, ::-1]
    hull, at = [], min(map(tuple, points))
    while not hull or at != hull[0]:
        hull.append(at)
        best = None
        for p in map(tuple, points):
            if p == at:
                continue
            if best is None:
                best = p
                continue
            turn = (best[0] - at[0]) * (p[1] - at[1]) - (best[1] - at[1]) * (p[0] - at[0])
            far = np.hypot(p[0] - at[0], p[1] - at[1]) > np.hypot(best[0] - at[0], best[1] - at[1])
            if turn < 0 or (turn == 0 and far):
                best = p
        at = best
    y, x = np.indices(present.shape)
    inside = np.ones(present.shape, bool)
    for (ax, ay), (bx, by) in zip(hull, hull[1:] + hull[:1]):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    return inside


def filled(image):
    """Gaps inside the hull of the present samples by least bending energy; others stay NaN."""
    present = np.isfinite(image)
    if present.all():
        return image
    inside = hull_mask(present)
    unknown = inside & ~present
    if not unknown.any():
        return image
    number = np.full(image.shape, -1)
    number[unknown] = np.arange(unknown.sum())
    stencils = [(((0, 0, 1.0), (0, 1, -2.0), (0, 2, 1.0)), 1.0), (((0, 0, 1.0), (1, 0, -2.0), (2, 0, 1.0)), 1.0),
                (((0, 0, 1.0), (0, 1, -1.0), (1, 0, -1.0), (1, 1, 1.0)), 2.0)]
    matrix = np.zeros((unknown.sum(), unknown.sum()))
    right = np.zeros(unknown.sum())
    height, width = image.shape
    for stencil, weight in stencils:
        for y in range(height - max(s[0] for s in stencil)):
            for x in range(width - max(s[1] for s in stencil)):
                nodes = [((y + dy, x + dx), f) for dy, dx, f in stencil]
                if not all(inside[p] for p, _ in nodes) or not any(unknown[p] for p, _ in nodes):
                    continue
                known = sum(f * image[p] for p, f in nodes if not unknown[p])
                for p, f in nodes:
                    if unknown[p]:
                        right[number[p]] -= weight * f * known
                        for q, g in nodes:
                            if unknown[q]:
                                matrix[number[p], number[q]] += weight * f * g
    out = image.copy()
    out[unknown] = np.linalg.solve(matrix, right)
    return out


def annulus_background(data, good, x, y, rin, rout, sigma, least):
    """Clipped median of the annulus; 0 with too few pixels."""
    limit = max(2.0, (len(data) - 1) // 2 - 1)
    rout = min(max(rout, 2.0), limit)
    rin = min(max(rin, 0.0), rout - 1.0)
    yy, xx = np.indices(data.shape)
    r = np.hypot(xx - x, yy - y)
    values = data[(r >= rin) & (r <= rout) & good]
    if len(values) < least:
        return 0.0
    for _ in range(5):
        values = values[np.abs(values - np.median(values)) <= sigma * values.std()]
    return np.median(values) if len(values) >= least else 0.0


def clipped_median(stack):
    """Over the first axis, NaN left out; 5 sigma about the median, five rounds."""
    stack = stack.copy()
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nodes without any sample
        for _ in range(5):
            stack[np.abs(stack - np.nanmedian(stack, axis=0)) > 5.0 * np.nanstd(stack, axis=0)] = np.nan
        return np.nanmedian(stack, axis=0)


def circle_light(image, centre, radius, split=100):
    """Light within a radius, pixels on the rim by fine sampling."""
    yy, xx = np.indices(image.shape) - centre
    far = np.hypot(np.abs(xx) + 0.5, np.abs(yy) + 0.5)
    near = np.hypot(np.maximum(np.abs(xx) - 0.5, 0), np.maximum(np.abs(yy) - 0.5, 0))
    share = (far <= radius).astype(float)
    fine = (np.arange(split) + 0.5) / split - 0.5
    for y, x in np.argwhere((near < radius) & (far > radius)):
        share[y, x] = np.mean(np.hypot(x - centre + fine[None, :], y - centre + fine[:, None]) <= radius)
    return np.sum(share * image)


class Star:
    def __init__(self, data, weight, x, y):
        self.data, self.weight, self.x, self.y = data, weight, x, y
        self.failed = self.excluded = False
        whole = filled(np.where(weight > 0, data, np.nan))
        for y, x in np.argwhere(np.isnan(whole)):
            good = np.argwhere(np.isfinite(whole))
            whole[y, x] = whole[tuple(good[np.argmin(np.hypot(*(good - (y, x)).T))])]
        self.flux = whole.sum()

    def offsets(self, s, centre):
        n = np.arange(len(self.data))
        return s * (n - self.x) + centre, s * (n - self.y) + centre

    def fit(self, spline, s, centre):
        """Flux, x, y on the 5 x 5 pixels around the start; @return distance moved or None."""
        x0, y0 = int(np.floor(self.x + 0.5)), int(np.floor(self.y + 0.5))
        if min(x0, y0) < 2 or max(x0, y0) > len(self.data) - 3:
            return None
        box = np.s_[y0 - 2:y0 + 3, x0 - 2:x0 + 3]
        data, weight = np.nan_to_num(self.data[box]), self.weight[box]
        if np.sum(weight > 0) < 4:
            return None
        xs, ys = np.arange(x0 - 2, x0 + 3), np.arange(y0 - 2, y0 + 3)

        def model(p):
            value, dx, dy = spline.grid(s * (xs - p[1]) + centre, s * (ys - p[2]) + centre)
            return p[0] * value, [value, -p[0] * s * dx, -p[0] * s * dy]

        p = np.array([self.flux, self.x, self.y])
        value, slopes = model(p)
        chi2 = np.sum(weight * (data - value) ** 2)
        for _ in range(1000):
            a = np.array([d.ravel() for d in slopes])
            step = np.linalg.solve((a * weight.ravel()) @ a.T, (a * weight.ravel()) @ (data - value).ravel())
            share = 1.0
            while share > 1e-3:
                there = model(p + share * step)
                new = np.sum(weight * (data - there[0]) ** 2)
                if new <= chi2:
                    break
                share *= 0.5
            else:
                break
            p, (value, slopes), chi2 = p + share * step, there, new
            if np.hypot(*step[1:]) < 1e-9:
                break
        if p[0] <= 0 or max(abs(p[1] - self.x), abs(p[2] - self.y)) > 2.5:
            return None
        moved = np.hypot(p[1] - self.x, p[2] - self.y)
        self.flux, self.x, self.y = p
        return moved


def build(stars, s, rounds, boxsize):
    """The grid after the rounds of 6.9, light within 5.5 pixels 1."""
    side = len(stars[0].data) * s + 1
    side += 1 - side % 2
    c = (side - 1) // 2
    grid = np.zeros((side, side))
    nodes = np.arange(side, dtype=float)
    for done in range(1, rounds + 1):
        spline = Spline(grid)
        stack = []
        for star in (star for star in stars if not star.excluded):
            layer = np.full((side, side), np.nan)
            u, v = star.offsets(s, c)
            residual = star.data / star.flux - spline.grid(u, v)[0]
            columns, rows = np.floor(u + 0.5).astype(int), np.floor(v + 0.5).astype(int)
            for j, row in enumerate(rows):
                good = (columns >= 0) & (columns < side) & (star.weight[j] > 0)
                if 0 <= row < side:
                    layer[row, columns[good]] = residual[j][good]
            stack.append(layer)
        grid = grid + np.nan_to_num(filled(clipped_median(np.array(stack))))
        wide = np.pad(grid, 2, mode="symmetric")
        grid = sum(KERNEL[j, i] * wide[j:j + side, i:i + side] for j in range(5) for i in range(5))
        spline, start, before = Spline(grid), np.zeros(2), np.inf
        reach = (boxsize * s) // 2
        for _ in range(30):
            box = grid[c - reach:c + reach + 1, c - reach:c + reach + 1]
            yy, xx = np.indices(box.shape) - reach
            shift = np.array([np.sum(xx * box), np.sum(yy * box)]) / box.sum()
            distance = np.hypot(*shift) / s
            if distance >= before:
                break
            before, start = distance, start + shift
            grid = spline.grid(nodes + start[0], nodes + start[1])[0]
            if distance < 1e-4:
                break
        grid = grid / (circle_light(grid, c, 5.5 * s) / s ** 2)
        spline, moved = Spline(grid), 0.0
        for star in (star for star in stars if not star.excluded):
            distance = star.fit(spline, s, c)
            star.failed = distance is None
            star.excluded = star.failed and done > 3
            moved = max(moved, distance or 0.0)
        if moved < 1e-3:
            break
    return grid
