// A number that drivers cannot foresee, for the ends of loops. Where they know
// the end of a loop of stores they unroll it, and some take seconds to compile
// what comes of it; where they know the end of a loop of sums, lavapipe's runs a
// sixth longer.
fn veiled(number: u32) -> u32 {
    return select(number, 0u, arrayLength(&y) == 0u);
}
