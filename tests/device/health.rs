//! What the health monitor measures, against the same numbers from plain
//! loops; and which verdicts follow from numbers.

use gpugan::config::Config;
use gpugan::run::health::{Finding, Measures, Observation, Rules, Verdict, Verdicts};
use gpugan::run::session::Session;

use crate::adapter::open;
use crate::batch;
use crate::preset::{changed, system};

// ---- measurements

fn session(config: &Config) -> Session {
    crate::session(&open(), config)
}

/// A generator without batch normalisation, so that samples of the trained
/// weights are the images of the batch, and a discriminator without dropout.
fn plain() -> Config {
    changed(
        "mlp",
        &[
            "batch=6",
            "data.size=4",
            "model.latent=3",
            "model.hidden_g=[7]",
            "model.irange_g=0.5",
            "model.irange_d=0.5",
            "model.maxout_units=5",
            "model.maxout_pieces=2",
            "model.dropout_input=0",
            "model.dropout_hidden=0",
            "model.output=tanh",
            "model.output_bias=zero",
            "train.update=alternating",
        ],
    )
}

/// Images in [-1, 1] that repeat nowhere.
fn images(count: usize, pixels: usize, phase: f32) -> Vec<f32> {
    (0..count * pixels)
        .map(|i| (i as f32 * 0.731 + phase).sin())
        .collect()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Mean over the rows of the distance to the nearest column but the same.
fn nearest(rows: &[f32], columns: &[f32], pixels: usize) -> f64 {
    let rows: Vec<&[f32]> = rows.chunks(pixels).collect();
    let least = |row: &[f32]| {
        columns
            .chunks(pixels)
            .map(|column| distance(row, column))
            .filter(|d| *d > 0.03)
            .fold(f64::INFINITY, f64::min)
    };
    rows.iter().map(|row| least(row)).sum::<f64>() / rows.len() as f64
}

fn pairs(rows: &[f32], pixels: usize) -> f64 {
    let rows: Vec<&[f32]> = rows.chunks(pixels).collect();
    let sum: f64 = rows
        .iter()
        .flat_map(|a| rows.iter().map(move |b| distance(a, b)))
        .sum();
    sum / (rows.len() * (rows.len() - 1)) as f64
}

/// The length of all of a network's tensors whose names begin with `prefix`.
fn length(session: &Session, names: &[String], prefix: &str) -> f64 {
    let squares = names.iter().map(|name| {
        let values = session.read(&format!("{prefix}{name}")).unwrap();
        values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
    });
    squares.sum::<f64>().sqrt()
}

#[track_caller]
fn close(what: &str, got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-4 * want.abs(),
        "{what} is {got}, not {want}"
    );
}

#[test]
fn measures_are_what_plain_loops_find() {
    let config = plain();
    let (count, pixels) = (config.batch, 16);
    let mut session = session(&config);
    let references = images(40, pixels, 0.3);
    session.set_references(&references).unwrap();
    // Two of the batch are references themselves.
    let mut real = images(count, pixels, 1.9);
    real[..2 * pixels].copy_from_slice(&references[5 * pixels..7 * pixels]);
    // One of them nearly, as rounding in a decoder leaves it.
    for value in &mut real[pixels..2 * pixels] {
        *value *= 1.003;
    }
    for _ in 0..3 {
        session.step(&mut batch(&real)).unwrap();
    }
    let names = |net: &str| -> Vec<String> {
        let state = session.state();
        let names = state.iter().map(|(name, _)| name.clone());
        names.filter(|name| name.starts_with(net)).collect()
    };
    let nets = [names("G."), names("D.")];
    let read = |session: &Session, names: &[String]| -> Vec<f32> {
        let values = names.iter().map(|name| session.read(name).unwrap());
        values.flatten().collect()
    };
    let before = nets.each_ref().map(|names| read(&session, names));
    session.before_measured_step().unwrap();
    session.step(&mut batch(&real)).unwrap();
    let m = session.measures().unwrap().expect("health is measured");
    let after = nets.each_ref().map(|names| read(&session, names));

    let ratio = |i: usize| {
        let zero = vec![0.0; before[i].len()];
        distance(&after[i], &before[i]) / distance(&before[i], &zero)
    };
    close("update G", m.update("G"), ratio(0));
    close("update D", m.update("D"), ratio(1));
    close(
        "gradient G",
        m.gradient("G"),
        length(&session, &nets[0], "gradient."),
    );
    close(
        "gradient D",
        m.gradient("D"),
        length(&session, &nets[1], "gradient."),
    );

    let z = session.read("z").unwrap();
    let fake = session.sample(&z).unwrap();
    let (of_fake, of_real) = (pairs(&fake, pixels), pairs(&real, pixels));
    close("diversity", m.diversity, of_fake / (pixels as f64).sqrt());
    close("diversity ratio", m.diversity_ratio, of_fake / of_real);
    let twins = nearest(&fake, &fake, pixels) / nearest(&real, &real, pixels);
    close("twins", m.twin_ratio, twins);
    let memory = nearest(&fake, &references, pixels) / nearest(&real, &references, pixels);
    close("memory", m.memory_ratio, memory);
    assert_eq!(m.non_finite, 0.0);
    assert!(m.verdicts.is_empty(), "{m:?}");
    assert_eq!(m.all("oscillation").count(), 0, "{m:?}");
}

/// A discriminator that says 1 to everything: right on real images, wrong on
/// all others, its answer worth `1 - sigmoid(1)` to the generator.
#[test]
fn a_constant_discriminator_is_right_about_one_half() {
    let mut session = session(&plain());
    session.set_references(&images(3, 16, 0.0)).unwrap();
    session.step(&mut batch(&images(6, 16, 1.0))).unwrap();
    let state = session.state();
    // The last layer is the one with a single unit.
    for (name, shape) in state.iter().filter(|(name, _)| name.starts_with("D.")) {
        let last = shape[0] == 1;
        let value = if last && shape.rank() == 1 { 1.0 } else { 0.0 };
        if last {
            session.write(name, &vec![value; shape.numel()]).unwrap();
        }
    }
    let m = session.measures().unwrap().unwrap();
    assert_eq!((m.accuracy_real, m.accuracy_fake), (1.0, 0.0));
    close("logit", m.gradient_logits, 1.0 / (1.0 + 1f64.exp()));
}

#[test]
fn a_single_value_that_is_not_finite_is_found() {
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut session = session(&plain());
        session.set_references(&images(3, 16, 0.0)).unwrap();
        session.step(&mut batch(&images(6, 16, 1.0))).unwrap();
        assert_eq!(session.measures().unwrap().unwrap().non_finite, 0.0);
        let (name, shape) = session.state().remove(0);
        let mut values = vec![0.5; shape.numel()];
        values[0] = broken;
        session.write(&name, &values).unwrap();
        let found = session.measures().unwrap().unwrap().non_finite;
        assert!(found > 0.0 && found < 0.1, "{broken}: {found}");
    }
}

// ---- verdicts

/// A tick at which all is well.
fn well(step: u64) -> Observation {
    Observation {
        step,
        losses: vec![1.7, 0.7],
        measures: Measures {
            accuracy_real: 0.9,
            accuracy_fake: 0.8,
            gradient_logits: 0.6,
            diversity: 0.8,
            diversity_ratio: 1.0,
            twin_ratio: 1.1,
            memory_ratio: 1.4,
            non_finite: 0.0,
            verdicts: Verdicts::default(),
            parts: [
                ("gradient_g", 7.0),
                ("gradient_d", 50.0),
                ("update_g", 8e-3),
                ("update_d", 4e-3),
                ("oscillation_d", 0.2),
                ("oscillation_g", 0.6),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        },
    }
}

/// Ticks of 100 steps from step 300 on, each changed.
fn series(count: u64, change: impl Fn(&mut Observation)) -> Vec<Observation> {
    (0..count)
        .map(|i| {
            let mut tick = well(300 + 100 * i);
            change(&mut tick);
            tick
        })
        .collect()
}

fn named(findings: &[Finding]) -> Vec<Verdict> {
    findings.iter().map(|found| found.verdict).collect()
}

/// The rules of a run.
fn rules_of(config: &Config) -> Rules {
    Rules::new(system(config, 1).duel(), 0..config.steps)
}

type Change = fn(&mut Observation);

/// What each verdict looks like.
const ILLS: [(Verdict, Change); 8] = [
    (Verdict::NonFinite, |t| t.measures.non_finite = 1e-6),
    (Verdict::Diverging, |t| {
        t.measures.parts.insert("update_d".to_owned(), 0.5);
    }),
    (Verdict::Diverging, |t| t.losses[0] = 57.0),
    (Verdict::DiscriminatorOverpowered, |t| {
        t.measures.accuracy_real = 1.0;
        t.measures.accuracy_fake = 1.0;
        t.losses[1] = 0.03;
    }),
    (Verdict::VanishingGeneratorGradient, |t| {
        t.measures.gradient_logits = 1e-4;
    }),
    (Verdict::ModeCollapse, |t| t.measures.diversity_ratio = 0.1),
    (Verdict::ModeCollapse, |t| t.measures.twin_ratio = 0.05),
    (Verdict::Memorising, |t| t.measures.memory_ratio = 0.4),
];

#[test]
fn what_makes_images_of_images_ignores_its_input_and_does_not_memorise() {
    let rules = rules_of(&changed("dcgan28", &[])).translating(true);
    for (verdict, ill) in ILLS {
        let found = rules.findings(&series(3, ill));
        let expected = match verdict {
            Verdict::ModeCollapse => vec![Verdict::IgnoresInput],
            Verdict::Memorising => Vec::new(),
            other => vec![other],
        };
        assert_eq!(named(&found), expected, "{found:?}");
    }
}

#[test]
fn a_sign_that_lasts_is_a_verdict_and_one_that_does_not_is_none() {
    let rules = rules_of(&changed("dcgan28", &[]));
    assert_eq!(rules.findings(&[]), []);
    assert_eq!(rules.findings(&series(9, |_| {})), []);
    for (verdict, ill) in ILLS {
        let ticks = series(3, ill);
        let found = rules.findings(&ticks);
        assert_eq!(named(&found), [verdict], "{found:?}");
        assert!(found[0].evidence.contains("limit") || verdict == Verdict::NonFinite);
        // Only what is not finite needs no patience.
        let soon = rules.findings(&ticks[..2]);
        assert_eq!(
            soon.is_empty(),
            verdict != Verdict::NonFinite,
            "{verdict:?}"
        );
        // A tick in between at which all was well.
        let mut torn = series(3, ill);
        torn[1] = well(torn[1].step);
        assert_eq!(named(&rules.findings(&torn)), named(&soon), "{verdict:?}");
        // Many ticks of few steps are no longer a time.
        let mut short = series(50, ill);
        for (i, tick) in (0..).zip(&mut short) {
            tick.step = 300 + i;
        }
        assert_eq!(named(&rules.findings(&short)), named(&soon), "{verdict:?}");
        // Once it is over it is over.
        let over = [ticks, vec![well(600)]].concat();
        assert_eq!(rules.findings(&over), [], "{verdict:?}");
    }
}

#[test]
fn a_start_is_excused_but_no_checkpoint_is_called_healthy_for_it() {
    let rules = rules_of(&changed("dcgan28", &[]));
    let long = rules_of(&changed("mlp", &[]));
    for (verdict, ill) in ILLS {
        let mut tick = well(200);
        ill(&mut tick);
        let excused = !matches!(verdict, Verdict::NonFinite | Verdict::Diverging);
        assert_eq!(rules.signs(&tick).is_empty(), excused, "{verdict:?}");
        assert_eq!(named(&rules.strict_signs(&tick)), [verdict]);
        // A fiftieth of the 125,000 steps of mlp.
        tick.step = 2500;
        assert_eq!(rules.signs(&tick).len(), 1);
        assert_eq!(long.signs(&tick).is_empty(), excused, "{verdict:?}");
    }
}

#[test]
fn a_generator_on_its_way_up_has_not_collapsed() {
    let rules = rules_of(&changed("dcgan28", &[]));
    let mut rising = series(4, |_| {});
    for (tick, ratio) in rising.iter_mut().zip([0.05, 0.10, 0.15, 0.20]) {
        tick.measures.diversity_ratio = ratio;
    }
    assert_eq!(rules.findings(&rising), []);
    rising.reverse();
    for (i, tick) in (3..).zip(&mut rising) {
        tick.step = 100 * i;
    }
    assert_eq!(named(&rules.findings(&rising)), [Verdict::ModeCollapse]);
    // Nor has one that nobody judges yet.
    let undecided = series(5, |t| {
        t.losses[1] = 2.0 * std::f64::consts::LN_2;
        t.measures.diversity_ratio = 0.01;
    });
    assert_eq!(rules.findings(&undecided), []);
}

#[test]
fn losses_are_judged_in_their_own_units() {
    let rules = |kind: &str| {
        let bound = ["loss.weight_clip=0.01", kind];
        rules_of(&changed(
            "dcgan28",
            &bound[usize::from(!kind.contains("wass"))..],
        ))
    };
    let sure = |loss_d: f64| {
        series(3, move |t| {
            t.measures.accuracy_real = 1.0;
            t.measures.accuracy_fake = 1.0;
            t.losses[1] = loss_d;
        })
    };
    let overpowered = [Verdict::DiscriminatorOverpowered];
    // An optimal critic is what its theory asks for, whatever it says.
    let critic = rules("loss.kind=wasserstein");
    assert_eq!(critic.findings(&sure(-900.0)), []);
    assert_eq!(critic.findings(&sure(0.001)), []);
    assert_eq!(named(&critic.findings(&sure(-1e5))), [Verdict::Diverging]);
    // An undecided least-squares D has the loss 0.25.
    let squares = rules("loss.kind=least-squares");
    assert_eq!(squares.findings(&sure(0.02)), []);
    assert_eq!(named(&squares.findings(&sure(0.01))), overpowered);
    let hinge = rules("loss.kind=hinge");
    assert_eq!(hinge.findings(&sure(0.15)), []);
    assert_eq!(named(&hinge.findings(&sure(0.05))), overpowered);
    // With smooth labels even the best D has a loss of 0.325.
    let smooth = rules("loss.real_label=0.9");
    assert_eq!(smooth.findings(&sure(0.45)), []);
    assert_eq!(named(&smooth.findings(&sure(0.34))), overpowered);
    // Features give logits no gradient, which says nothing.
    let features = rules("loss.kind=feature-matching");
    assert_eq!(
        features.findings(&series(3, |t| t.measures.gradient_logits = 0.0)),
        []
    );
}

#[test]
fn measures_that_do_not_exist_say_nothing() {
    let rules = rules_of(&changed("dcgan28", &[]));
    let nothing = series(5, |t| t.measures = Measures::default());
    assert_eq!(rules.findings(&nothing), []);
}

#[test]
fn statistics_without_health_still_read_and_with_it_read_back() {
    use gpugan::run::stats::{Tick, Writer, read};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats.jsonl");
    let old = r#"{"step":1,"kimg":0.1,"loss_d":1.0,"loss_g":null,"d_real":0.5,"d_fake":0.5,"sec_per_step":0.1,"memory_bytes":7}"#;
    std::fs::write(&path, format!("{old}\n")).unwrap();
    let mut tick: Tick = read(&path).unwrap().remove(0);
    assert!(tick.health.is_none());
    let verdicts = [Verdict::Memorising, Verdict::ModeCollapse];
    tick.health = Some(Measures {
        accuracy_real: 0.75,
        verdicts: verdicts.into_iter().collect(),
        ..Measures::default()
    });
    Writer::append(&path).unwrap().write(&tick).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains(r#""verdicts":["mode collapse","memorising"]"#),
        "{text}"
    );
    let back = read(&path).unwrap()[1].health.clone().unwrap();
    assert_eq!(back.accuracy_real, 0.75);
    assert!(back.accuracy_fake.is_nan());
    assert_eq!(back.verdicts, verdicts.into_iter().collect());
}

/// Steps and measurements of the default run take turns, so that whatever else
/// the machine does befalls both alike.
#[test]
#[ignore = "long: run by make test-long"]
fn measuring_takes_at_most_three_steps_in_a_hundred() {
    use std::time::{Duration, Instant};
    let config = changed("dcgan28", &[]);
    let pixels = 28 * 28;
    let mut session = session(&config);
    session.set_references(&images(1024, pixels, 0.0)).unwrap();
    let real = images(config.batch, pixels, 1.0);
    let (mut steps, mut measures) = (Vec::new(), Vec::new());
    for round in 0..21 {
        let start = Instant::now();
        session.step(&mut batch(&real)).unwrap();
        session.finish().unwrap();
        let step = start.elapsed();
        let start = Instant::now();
        session.before_measured_step().unwrap();
        session.measures().unwrap();
        // The first of each warms up.
        if round > 0 {
            steps.push(step);
            measures.push(start.elapsed());
        }
    }
    let median = |mut times: Vec<Duration>| -> f64 {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    let (step, measure) = (median(steps), median(measures));
    let part = measure / (config.train.tick as f64 * step);
    println!(
        "a step {step:.4} s, measuring {measure:.4} s: {:.2} % of a tick",
        100.0 * part
    );
    assert!(part < 0.03, "{part}");
}
