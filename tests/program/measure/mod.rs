//! Scores through the command line.

mod commands;
mod compare;
mod conditional;
mod inception;
mod stacked;
