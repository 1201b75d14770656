//! `data.input = small` against Pillow (`bicubic.py`).

use gpugan::data::{Input, Reading, bicubic};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    from: [usize; 2],
    to: [usize; 2],
    plane: Vec<u8>,
    resized: Vec<u8>,
}

/// Pillow's own weights are rounded to 22 bits.
#[test]
fn planes_are_resized_as_pillow_does() {
    let text = include_str!("bicubic.json");
    let fixture: Fixture = serde_json::from_str(text).unwrap();
    assert_eq!(fixture.cases.len(), 5);
    for case in fixture.cases {
        let ours = bicubic(&case.plane, case.from, case.to);
        assert_eq!(ours.len(), case.resized.len(), "{}", case.name);
        for (place, (ours, wanted)) in ours.iter().zip(&case.resized).enumerate() {
            let apart = ours.abs_diff(*wanted);
            assert!(
                apart <= 1,
                "{} at {place}: {ours}, Pillow's {wanted}",
                case.name
            );
        }
    }
}

#[test]
fn small_inputs_are_the_planes_at_a_quarter() {
    let reading = Reading::new(30, 26).channels(Some(3)).input(Input::Small);
    let set = reading.open("emoji").unwrap();
    assert_eq!(set.input_shape(), Some([3, 8, 7]));
    let (input, image) = set.decode_pair(4).unwrap();
    let planes = image.chunks_exact(30 * 26);
    let wanted: Vec<u8> = planes
        .flat_map(|plane| bicubic(plane, [30, 26], [8, 7]))
        .collect();
    assert_eq!(input, wanted);
    assert!(input.iter().any(|value| *value != input[0]));
}
