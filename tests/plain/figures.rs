//! Pictures and plots, pixel by pixel.

use std::{fs, io::BufReader};

use gpugan::config::options::Animation;
use gpugan::media::animation;
use gpugan::media::figures::{
    GAP, GAP_COLOUR, NAN_COLOUR, enlarged, grid, grid_of, save_png, single,
};
use gpugan::plot::COLOURS;
use gpugan::run::loss_plot::{self, SIZE};
use gpugan::run::stats::Tick;
use gpugan::systems::Report;
use image::{
    AnimationDecoder, ColorType, Rgb, RgbImage,
    codecs::{gif::GifDecoder, png::PngDecoder},
};

use crate::preset::{changed, system};

#[test]
fn a_grid_has_each_pixel_where_it_belongs() {
    // Five 2x3 RGB images, each value its own byte.
    let shape = [5, 3, 2, 3];
    let bytes: Vec<u8> = (0..90).map(|i| i * 2).collect();
    let values: Vec<f32> = bytes.iter().map(|b| f32::from(*b) / 127.5 - 1.0).collect();
    let picture = grid(&values, shape, 3).unwrap();
    let factor = 22; // 64 / 3, rounded up
    let (cell_w, cell_h) = (3 * factor + GAP, 2 * factor + GAP);
    assert_eq!(picture.dimensions(), (3 * cell_w + GAP, 2 * cell_h + GAP));
    let mut seen = RgbImage::from_pixel(picture.width(), picture.height(), Rgb(GAP_COLOUR));
    for image in 0..5u32 {
        for y in 0..2 * factor {
            for x in 0..3 * factor {
                let byte =
                    |c| bytes[(((image * 3 + c) * 2 + y / factor) * 3 + x / factor) as usize];
                let left = GAP + image % 3 * cell_w;
                let top = GAP + image / 3 * cell_h;
                seen.put_pixel(left + x, top + y, Rgb([byte(0), byte(1), byte(2)]));
            }
        }
    }
    assert!(picture == seen);
}

#[test]
fn grids_have_sensible_sizes() {
    let width = |n: usize, side: usize, columns| {
        let values = vec![0.0; n * side * side];
        grid(&values, [n, 1, side, side], columns).unwrap().width()
    };
    assert_eq!(width(64, 28, 8), 8 * (3 * 28 + GAP) + GAP);
    assert_eq!(width(64, 32, 8), 8 * (2 * 32 + GAP) + GAP);
    assert_eq!(width(4, 64, 2), 2 * (64 + GAP) + GAP);
    assert_eq!(width(4, 100, 2), 2 * (100 + GAP) + GAP);
    // Wide grids are enlarged less, and rows are never longer than the batch.
    assert_eq!(width(32, 28, 32), 32 * (2 * 28 + GAP) + GAP);
    assert_eq!(width(3, 28, 100), 3 * (3 * 28 + GAP) + GAP);
    assert_eq!(width(3, 28, 0), 3 * 28 + 2 * GAP);
}

#[test]
fn values_are_rounded_clamped_and_nan_is_loud() {
    let values = [-1.0, 1.0, 0.0, 9.0, f32::NEG_INFINITY, f32::NAN];
    let picture = grid(&values, [6, 1, 1, 1], 6).unwrap();
    let colours: Vec<_> = (0..6)
        .map(|i| picture.get_pixel(GAP + i * (64 + GAP) + 32, GAP + 32).0)
        .collect();
    let grey = |v: u8| [v; 3];
    assert_eq!(
        colours[..5],
        [grey(0), grey(255), grey(128), grey(255), grey(0)]
    );
    assert_eq!(colours[5], NAN_COLOUR);
}

#[test]
fn transparency_is_composited_in_grids_and_kept_in_single_images() {
    // One RGBA pixel each: opaque red, transparent red, half-transparent black.
    let values = [
        [1.0, -1.0, -1.0, 1.0],
        [1.0, -1.0, -1.0, -1.0],
        [-1.0, -1.0, -1.0, 0.0],
    ]
    .concat();
    let shape = [3, 4, 1, 1];
    let picture = grid(&values, shape, 3).unwrap();
    let at = |i: u32, x: u32| picture.get_pixel(GAP + i * (64 + GAP) + x, GAP).0;
    assert_eq!(at(0, 0), [255, 0, 0]);
    assert_eq!((at(1, 0), at(1, 8)), ([255; 3], [216; 3]));
    assert_eq!(at(2, 0), [127; 3]);

    let image = single(&values, shape, 1).unwrap();
    assert_eq!(image.color(), ColorType::Rgba8);
    assert_eq!(image.as_bytes(), [255, 0, 0, 0]);
    let image = single(&[1.0, 0.0], [1, 2, 1, 1], 0).unwrap();
    assert_eq!(image.color(), ColorType::La8);
    assert_eq!(image.as_bytes(), [255, 128]);
}

#[test]
fn single_images_are_saved_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed0001.png");
    let bytes: Vec<u8> = (0..2 * 5 * 7).map(|i| i * 3).collect();
    let values: Vec<f32> = bytes.iter().map(|b| f32::from(*b) / 127.5 - 1.0).collect();
    let image = single(&values, [2, 1, 5, 7], 1).unwrap();
    save_png(image, &path).unwrap();
    let read = image::open(&path).unwrap();
    assert_eq!(read.color(), ColorType::L8);
    assert_eq!((read.width(), read.height()), (7, 5));
    assert_eq!(read.as_bytes(), &bytes[35..]);

    let nan = single(&[f32::NAN, 1.0], [1, 1, 1, 2], 0).unwrap();
    assert_eq!(nan.as_bytes(), [255, 0, 255, 255, 255, 255]);
}

#[test]
fn batches_that_cannot_be_drawn_are_refused() {
    let says = |result: gpugan::Result<RgbImage>, said: &str| {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(said), "{text}");
    };
    says(grid(&[0.0; 5], [1, 1, 2, 2], 1), "5 values");
    says(grid(&[0.0; 5], [1, 5, 1, 1], 1), "5 channels");
    says(grid(&[], [0, 1, 2, 2], 1), "at least one");
    says(grid(&[], [usize::MAX, 3, 2, 2], 1), "does not fit");
    says(grid(&[0.0; 40_000], [40_000, 1, 1, 1], 1), "32768");
    assert!(single(&[0.0], [1, 1, 1, 1], 1).is_err());
}

#[test]
fn a_gif_decodes_to_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.gif");
    let frames: Vec<_> = (0..5)
        .map(|i| RgbImage::from_fn(20, 10, |x, _| Rgb([i * 50, x as u8 * 10, 7])))
        .collect();
    let save = |frames: &[RgbImage]| animation::save(frames, &path, Animation::Gif, 20.0);
    save(&frames).unwrap();
    let file = BufReader::new(fs::File::open(&path).unwrap());
    let read = GifDecoder::new(file).unwrap().into_frames();
    let read = read.collect_frames().unwrap();
    assert_eq!(read.len(), 5);
    for (read, frame) in read.iter().zip(&frames) {
        assert_eq!(read.delay().numer_denom_ms(), (50, 1));
        let rgb = image::DynamicImage::from(read.buffer().clone()).into_rgb8();
        assert!(rgb == *frame);
    }
    assert!(save(&[]).is_err());
    let mixed = [RgbImage::new(2, 2), RgbImage::new(3, 2)];
    let text = save(&mixed).unwrap_err().to_string();
    assert!(text.contains("(3, 2)"), "{text}");
}

#[test]
fn an_animated_png_keeps_all_colours_and_its_pace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.png");
    let frames: Vec<_> = (0..4)
        .map(|i| RgbImage::from_fn(40, 30, |x, y| Rgb([i * 60, x as u8 * 6, y as u8 * 8])))
        .collect();
    animation::save(&frames, &path, Animation::Apng, 25.0).unwrap();
    let file = BufReader::new(fs::File::open(&path).unwrap());
    let decoder = PngDecoder::new(file).unwrap();
    assert!(decoder.is_apng().unwrap());
    let read = decoder.apng().unwrap().into_frames();
    let read = read.collect_frames().unwrap();
    assert_eq!(read.len(), 4);
    for (read, frame) in read.iter().zip(&frames) {
        assert_eq!(read.delay().numer_denom_ms(), (40, 1));
        assert!(image::DynamicImage::from(read.buffer().clone()).into_rgb8() == *frame);
    }
}

/// Skipped where the encoder is not there, which is said instead.
#[test]
fn a_film_is_written_by_ffmpeg_or_its_lack_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.mp4");
    let frames = [0, 90].map(|i| RgbImage::from_pixel(33, 21, Rgb([i, 40, 200])));
    match animation::save(&frames, &path, Animation::Mp4, 12.0) {
        Ok(()) => assert_eq!(&fs::read(&path).unwrap()[4..8], b"ftyp"),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("ffmpeg") && said.contains(".gif"), "{said}");
            assert!(!path.exists());
        }
    }
}

#[test]
fn pictures_are_enlarged_by_whole_factors() {
    let values = [-1.0, 1.0, 0.0, 1.0];
    let wide = grid_of(&values, [2, 1, 1, 2], 2, Some(3)).unwrap();
    assert_eq!(wide.dimensions(), (2 * (6 + GAP) + GAP, 3 + 2 * GAP));
    // Grey and alpha stay, pixel for pixel.
    let one = single(&values, [1, 2, 1, 2], 0).unwrap();
    let large = enlarged(one, 4).unwrap();
    assert_eq!((large.width(), large.height()), (8, 4));
    assert_eq!(large.color(), ColorType::La8);
    let large = large.into_luma_alpha8();
    assert_eq!(large.get_pixel(3, 3).0, [0, 128]);
    assert_eq!(large.get_pixel(4, 0).0, [255, 255]);
    assert!(grid_of(&values, [2, 1, 1, 2], 2, Some(u32::MAX)).is_err());
    assert!(enlarged(image::DynamicImage::new_rgb8(40, 40), 1000).is_err());
}

#[test]
fn rollbacks_are_marked_where_they_led_to() {
    let marked = |picture: &RgbImage| {
        let mark = picture.pixels().filter(|pixel| pixel.0 == [140, 90, 40]);
        mark.count()
    };
    let draw = |ticks: &[Tick]| loss_plot::losses(ticks, &reports()).unwrap();
    let mut ticks = run(60);
    assert_eq!(marked(&draw(&ticks)), 0);
    for tick in &mut ticks[30..] {
        tick.rollbacks = 1;
    }
    // A line through both charts.
    assert!(marked(&draw(&ticks)) > 400);
}

/// A plausible run with noise from a small generator.
fn run(n: u64) -> Vec<Tick> {
    let mut state = 1u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    (0..n)
        .map(|i| {
            let t = i as f64 / n as f64;
            Tick {
                step: (i + 1) * 50,
                kimg: 0.0,
                sec_per_step: 0.01,
                memory_bytes: 0,
                rollbacks: 0,
                health: None,
                reports: [
                    (
                        LOSS_D,
                        1.38 - 0.5 * (1.0 - (-6.0 * t).exp()) + 0.3 * noise(),
                    ),
                    (LOSS_G, 0.7 + 1.6 * (1.0 - (-4.0 * t).exp()) + 0.8 * noise()),
                    (
                        D_REAL,
                        0.5 + 0.2 * (1.0 - (-5.0 * t).exp()) + 0.15 * noise(),
                    ),
                    (
                        D_FAKE,
                        0.5 - 0.25 * (1.0 - (-5.0 * t).exp()) + 0.15 * noise(),
                    ),
                ]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            }
        })
        .collect()
}

/// The reports of a GAN, in the order of [`COLOURS`].
const LOSS_D: &str = "loss_d";
const LOSS_G: &str = "loss_g";
const D_REAL: &str = "d_real";
const D_FAKE: &str = "d_fake";

fn reports() -> Vec<Report> {
    system(&changed("dcgan28", &[]), 1).reports()
}

fn losses(ticks: &[Tick]) -> gpugan::Result<RgbImage> {
    loss_plot::losses(ticks, &reports())
}

/// Ticks with some reports replaced.
fn with<const N: usize>(
    ticks: &[Tick],
    change: impl Fn(&Tick) -> [(&'static str, f64); N],
) -> Vec<Tick> {
    let mut ticks = ticks.to_vec();
    for tick in &mut ticks {
        for (name, value) in change(tick) {
            set(tick, name, value);
        }
    }
    ticks
}

fn set(tick: &mut Tick, name: &str, value: f64) {
    assert!(tick.reports.insert(name.to_owned(), value).is_some());
}

/// Pixels of exactly the colour of each smoothed line in the chart of that
/// curve, which lies below its legend.
fn inked(plot: &RgbImage) -> [usize; 4] {
    let mut count = [0; 4];
    for (_, y, pixel) in plot.enumerate_pixels() {
        for (curve, colour) in COLOURS.iter().take(count.len()).enumerate() {
            let panel = if curve < 2 { 40..374 } else { 425..650 };
            count[curve] += usize::from(panel.contains(&y) && pixel.0 == *colour);
        }
    }
    count
}

/// Draws; where GPUGAN_TEST_KEEP names a folder, plots are kept there to be
/// looked at.
fn plot(name: &str, ticks: &[Tick]) -> RgbImage {
    let plot = losses(ticks).unwrap();
    assert_eq!(plot.dimensions(), SIZE);
    if let Ok(folder) = std::env::var("GPUGAN_TEST_KEEP") {
        plot.save(format!("{folder}/{name}.png")).unwrap();
    }
    plot
}

#[test]
fn a_legend_of_many_curves_takes_more_rows() {
    let reports = system(&changed("cyclegan32", &[]), 1).reports();
    assert_eq!(reports.len(), COLOURS.len());
    let ticks: Vec<Tick> = (1..5)
        .map(|step| Tick {
            step,
            kimg: 0.0,
            sec_per_step: 1.0,
            memory_bytes: 0,
            rollbacks: 0,
            health: None,
            reports: reports
                .iter()
                .enumerate()
                .map(|(place, report)| (report.name.to_owned(), place as f64))
                .collect(),
        })
        .collect();
    let plot = loss_plot::losses(&ticks, &reports).unwrap();
    // Swatches lie above the chart, which two rows move down.
    for colour in COLOURS {
        let above = |(x, y): &(u32, u32)| plot.get_pixel(*x, *y).0 == colour;
        let swatch = (0..SIZE.0).flat_map(|x| (0..55).map(move |y| (x, y)));
        assert!(swatch.filter(above).count() > 20, "{colour:?}");
    }
}

#[test]
fn a_plot_shows_every_curve() {
    let plot = plot("run", &run(600));
    for (curve, pixels) in inked(&plot).into_iter().enumerate() {
        assert!(pixels > 500, "curve {curve} has {pixels} pixels");
    }
    // Text was drawn: dark pixels left of and below the charts.
    let dark = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
        x.flat_map(|x| y.clone().map(move |y| (x, y)))
            .filter(|(x, y)| plot.get_pixel(*x, *y).0.iter().all(|v| *v < 110))
            .count()
    };
    assert!(dark(0..75, 40..374) > 50, "no labels at the loss axis");
    assert!(dark(80..980, 650..700) > 50, "no labels at the step axis");
    assert!(dark(80..400, 5..40) > 50, "no legend");
}

#[test]
fn a_plot_survives_odd_statistics() {
    assert_eq!(inked(&plot("none", &[])), [0; 4]);
    assert!(inked(&plot("one", &run(1))).iter().all(|n| *n > 0));
    let constant = with(&run(40), |_| {
        [
            (LOSS_D, 0.693),
            (LOSS_G, 0.693),
            (D_REAL, 0.5),
            (D_FAKE, 0.25),
        ]
    });
    let count = inked(&plot("constant", &constant));
    // Where two curves coincide, the later one covers the other.
    assert!(count[1] > 500 && count[2] > 500 && count[3] > 500);
    let nothing = with(&run(40), |_| [(LOSS_D, f64::NAN), (D_REAL, f64::INFINITY)]);
    let count = inked(&plot("nothing", &nothing));
    assert!(count[0] == 0 && count[1] > 0 && count[2] == 0 && count[3] > 0);
    for size in [f64::MAX, 1e300, 1e38, 1e20, 1e-20, 1e-300] {
        let extreme = with(&run(40), |t| {
            [(LOSS_D, t.report(LOSS_D) * size), (LOSS_G, -size)]
        });
        assert!(inked(&plot("extreme", &extreme))[1] > 0, "{size}");
    }
}

#[test]
fn a_plot_has_gaps_where_values_are_missing() {
    let whole = run(600);
    let mut torn = whole.clone();
    for tick in &mut torn[200..400] {
        set(tick, LOSS_G, f64::NAN);
    }
    set(&mut torn[100], LOSS_D, f64::INFINITY);
    set(&mut torn[450], LOSS_G, 1e9); // one spike must not flatten the rest
    let plot = plot("gaps", &torn);
    // Columns in the middle of the gap: 300 of 600 ticks, in the chart's half.
    let loss_g = |plot: &RgbImage| {
        (500..560)
            .flat_map(|x| (40..374).map(move |y| (x, y)))
            .filter(|(x, y)| plot.get_pixel(*x, *y).0 == COLOURS[1])
            .count()
    };
    assert_eq!(loss_g(&plot), 0);
    assert!(loss_g(&losses(&whole).unwrap()) > 50);
    assert!(inked(&plot)[1] > 300);
    let top = (80..980).filter(|x| plot.get_pixel(*x, 44).0 == COLOURS[1]);
    assert_eq!(top.count(), 0, "the spike lifted the moving average");
}

#[test]
fn a_critic_has_its_own_axis() {
    let critic = with(&run(300), |t| {
        [
            (LOSS_D, -20.0 * t.report(LOSS_D)),
            (D_REAL, 30.0 * t.report(D_REAL)),
            (D_FAKE, -12.0),
        ]
    });
    assert!(inked(&plot("critic", &critic)).iter().all(|n| *n > 300));
}

#[test]
fn a_million_ticks_are_thinned_without_losing_spikes() {
    let mut ticks = run(1_000_000);
    for tick in ticks.iter_mut().step_by(100) {
        set(tick, LOSS_G, 9.0); // a hundredth of the ticks, so inside the axis
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("losses.png");
    loss_plot::save(&ticks, &reports(), &path).unwrap();
    let read = image::open(&path).unwrap().into_rgb8();
    assert!(read == plot("million", &ticks));
    assert!(inked(&read).iter().all(|n| *n > 500));
    // The pale line reaches far above the smoothed one.
    let tinted = (40..150).any(|y| {
        let [r, _, b] = read.get_pixel(500, y).0;
        r > b && r - b > 40
    });
    assert!(tinted, "spikes were lost");
}
