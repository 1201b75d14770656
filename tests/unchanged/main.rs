//! What may not change by accident: the recordings and the layout of every
//! preset, and what runs of the earlier program become when they are resumed.

mod recordings;
mod resumed;
