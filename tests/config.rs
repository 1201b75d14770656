//! The configuration and the command line's treatment of it.

use gpugan::config::{Config, presets};

#[test]
fn every_preset_reads_back_identical() {
    for preset in presets::PRESETS {
        let config = presets::load(preset.name).unwrap();
        println!("{}", config.to_commented_toml());
        assert_eq!(Config::from_toml(&config.to_toml()).unwrap(), config);
        assert_eq!(
            Config::from_toml(&config.to_commented_toml()).unwrap(),
            config
        );
    }
}
