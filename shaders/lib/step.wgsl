// Values that change from step to step: the one small buffer written before
// each replay. The Rust side is recording::StepValues; a test compares the two.
struct Step {
    seed: u32,
    counter: u32,
    learning_rate: f32,
    momentum: f32,
    correction1: f32,
    correction2: f32,
    ema_decay: f32,
    padding: f32,
}
