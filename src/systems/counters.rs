//! What a run has done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run has done; saved in checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Counters {
    /// Steps that were taken.
    pub step: u64,
    /// Updates of each network.
    pub updates: BTreeMap<String, u64>,
    /// Batches that were taken from the data's first stream.
    pub batches: u64,
    /// Passes, each of which draws its own random numbers.
    pub draws: u32,
    /// Returns to a healthy checkpoint.
    pub rollbacks: u32,
}

impl Counters {
    /// Updates of a network.
    pub fn updates_of(&self, network: &str) -> u64 {
        self.updates.get(network).copied().unwrap_or(0)
    }

    /// Counts an update of a network and returns its number, from 1.
    pub(crate) fn update(&mut self, network: &str) -> u64 {
        let updates = self.updates.entry(network.to_owned()).or_default();
        *updates += 1;
        *updates
    }
}

/// As files have it: earlier programs wrote a number for each network, named
/// `<network>_updates`, and took a batch for each update of the discriminator,
/// which had the most.
#[derive(Deserialize)]
struct Stored {
    step: u64,
    draws: u32,
    #[serde(default)]
    rollbacks: u32,
    #[serde(default)]
    updates: Option<BTreeMap<String, u64>>,
    #[serde(default)]
    batches: Option<u64>,
    #[serde(flatten)]
    earlier: BTreeMap<String, serde_json::Value>,
}

impl From<Stored> for Counters {
    fn from(stored: Stored) -> Self {
        let named = |(name, value): (&String, &serde_json::Value)| {
            let network = name.strip_suffix("_updates")?;
            Some((network.to_uppercase(), value.as_u64()?))
        };
        let updates = stored
            .updates
            .unwrap_or_else(|| stored.earlier.iter().filter_map(named).collect());
        let most = updates.values().copied().max().unwrap_or(0);
        Self {
            step: stored.step,
            batches: stored.batches.unwrap_or(most),
            updates,
            draws: stored.draws,
            rollbacks: stored.rollbacks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_earlier_files_are_understood() {
        let text = r#"{"step":7,"d_updates":21,"g_updates":7,"draws":28,"rollbacks":1}"#;
        let counters: Counters = serde_json::from_str(text).expect("reads");
        assert_eq!(counters.updates_of("D"), 21);
        assert_eq!(counters.updates_of("G"), 7);
        assert_eq!(
            (counters.batches, counters.draws, counters.rollbacks),
            (21, 28, 1)
        );
        let again = serde_json::to_string(&counters).expect("writes");
        assert_eq!(
            serde_json::from_str::<Counters>(&again).expect("reads"),
            counters
        );
    }
}
