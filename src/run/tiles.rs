//! Large images in overlapping parts: where parts lie along a side and what of each
//! is kept. Images are planes `[C, H, W]`, row-major.

use std::ops::Range;

/// A part of a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where it begins.
    pub(crate) start: usize,
    /// What of the side it is kept for.
    pub(crate) kept: Range<usize>,
}

/// Parts of `length` pixels that cover a side: what is kept of them are all its pixels,
/// each once, and none is nearer than `margin` to an end of its part that is no end of
/// the side. All begin at multiples of whatever `side`, `length` and `margin` are
/// multiples of. A part that is not shorter than the side is all of it.
pub(crate) fn spans(side: usize, length: usize, margin: usize) -> Vec<Span> {
    if length >= side {
        return vec![Span {
            start: 0,
            kept: 0..side,
        }];
    }
    let mut spans: Vec<Span> = Vec::new();
    let mut from = 0;
    while from < side {
        let start = from.saturating_sub(margin).min(side - length);
        let last = start + length == side;
        let to = if last { side } else { start + length - margin };
        spans.push(Span {
            start,
            kept: from..to,
        });
        from = to;
    }
    spans
}

/// The index within `count` that mirroring at both ends leads to, where ends are not
/// repeated: 0 1 2 1 0 1 2 ... of three.
fn mirrored(index: usize, count: usize) -> usize {
    let period = 2 * count.max(2) - 2;
    let index = index % period;
    index.min(period - index).min(count - 1)
}

/// Planes continued to the right and below by their mirror image.
pub(crate) fn extended(
    planes: &[f32],
    [height, width]: [usize; 2],
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let mut all = Vec::with_capacity(planes.len() / (height * width).max(1) * rows * columns);
    for plane in planes.chunks_exact(height * width) {
        for y in 0..rows {
            let row = &plane[mirrored(y, height) * width..][..width];
            all.extend((0..columns).map(|x| row[mirrored(x, width)]));
        }
    }
    all
}

/// The part of planes that begins at `start` and has the size `part`.
pub(crate) fn cut(
    planes: &[f32],
    [height, width]: [usize; 2],
    start: [usize; 2],
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let mut part = Vec::new();
    for plane in planes.chunks_exact(height * width) {
        for y in start[0]..start[0] + rows {
            part.extend_from_slice(&plane[y * width + start[1]..][..columns]);
        }
    }
    part
}

/// Puts what is kept of a part into planes of the size `whole`.
pub(crate) fn put(
    planes: &mut [f32],
    [height, width]: [usize; 2],
    part: &[f32],
    [rows, columns]: [usize; 2],
    [down, across]: [&Span; 2],
) {
    let parts = part.chunks_exact(rows * columns);
    for (plane, part) in planes.chunks_exact_mut(height * width).zip(parts) {
        for y in down.kept.clone() {
            let from = (y - down.start) * columns + across.kept.start - across.start;
            let kept = &part[from..][..across.kept.len()];
            plane[y * width..][across.kept.clone()].copy_from_slice(kept);
        }
    }
}

impl Span {
    /// The same part of an image that is so many times larger.
    pub(crate) fn times(&self, scale: usize) -> Self {
        Self {
            start: self.start * scale,
            kept: self.kept.start * scale..self.kept.end * scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_is_kept_once_and_far_from_cuts() {
        for (side, length, margin) in [
            (100, 100, 8),
            (100, 40, 8),
            (96, 40, 16),
            (41, 40, 8),
            (1000, 17, 8),
            (12, 40, 8),
        ] {
            let spans = spans(side, length, margin);
            let mut next = 0;
            for Span { start, kept } in &spans {
                assert_eq!(kept.start, next, "{side} {length} {margin}");
                assert!(!kept.is_empty());
                let end = start + length.min(side);
                assert!(end <= side);
                assert!(*start == 0 || kept.start >= start + margin);
                assert!(end == side || kept.end + margin <= end);
                next = kept.end;
            }
            assert_eq!(next, side);
        }
        // Parts of multiples of 8 begin at such.
        let spans = spans(200, 64, 16);
        assert!(spans.iter().all(|span| span.start % 8 == 0));
    }

    #[test]
    fn images_go_on_as_their_mirror_image() {
        let line = [1.0, 2.0, 3.0];
        assert_eq!(
            extended(&line, [1, 3], [2, 8])[..8],
            [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0]
        );
        assert_eq!(extended(&[5.0], [1, 1], [2, 2]), [5.0; 4]);
        let two = [1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, -4.0];
        assert_eq!(
            extended(&two, [2, 2], [3, 2]),
            [
                1.0, 2.0, 3.0, 4.0, 1.0, 2.0, -1.0, -2.0, -3.0, -4.0, -1.0, -2.0
            ]
        );
    }

    #[test]
    fn parts_put_together_are_the_whole() {
        let size = [13, 22];
        let image: Vec<f32> = (0..2 * 13 * 22).map(|i| i as f32).collect();
        let part = [7, 12];
        let mut made = vec![f32::NAN; image.len() * 4];
        let doubled = |planes: &[f32], [h, w]: [usize; 2]| -> Vec<f32> {
            let at = |plane: &[f32], y: usize, x: usize| plane[y / 2 * w + x / 2];
            let planes = planes.chunks_exact(h * w);
            planes
                .flat_map(|p| (0..2 * h).flat_map(move |y| (0..2 * w).map(move |x| at(p, y, x))))
                .collect()
        };
        for down in spans(size[0], part[0], 2) {
            for across in spans(size[1], part[1], 3) {
                let cut = cut(&image, size, [down.start, across.start], part);
                let larger = doubled(&cut, part);
                let spans = [&down.times(2), &across.times(2)];
                put(&mut made, [26, 44], &larger, [14, 24], spans);
            }
        }
        assert_eq!(made, doubled(&image, size));
    }
}
