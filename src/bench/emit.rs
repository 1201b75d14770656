//! Kernels as files, for those who read, profile or change them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::kernels::family;
use super::step::presumed;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gpu::{AdapterFacts, Translation, expand, translate};
use crate::recording::{Access, Dispatch, Kernel, Recording};

/// The recordings of a run of this configuration, as this adapter runs them.
///
/// # Errors
/// Where the configuration does not fit together.
pub(super) fn of_run(facts: &AdapterFacts, config: &Config) -> Result<Vec<(String, Recording)>> {
    let (_, blueprint) = presumed(facts, config)?;
    let recordings = blueprint.recordings.into_iter();
    Ok(recordings.map(|of| (of.name, of.recording)).collect())
}

/// Writes each kernel of some recordings once, as WGSL, SPIR-V, MSL and HLSL, and
/// `kernels.csv` with a row for each launch; returns how many kernels there are.
///
/// # Errors
/// [`Error::Io`] where the folder cannot be written.
pub fn emit(folder: &Path, recordings: &[(String, Recording)]) -> Result<usize> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let path = folder.join("kernels.csv");
    let failed = |error: csv::Error| Error::io("write", &path)(error.into());
    let mut table = csv::Writer::from_path(&path).map_err(failed)?;
    let columns = ["case", "launch", "file", "workgroups", "bindings", "label"];
    table.write_record(columns).map_err(failed)?;
    let mut stems: HashMap<&Kernel, String> = HashMap::new();
    for (case, recording) in recordings {
        for (number, dispatch) in (1..).zip(recording.dispatches()) {
            let stem = match stems.get(&dispatch.kernel) {
                Some(stem) => stem.clone(),
                None => {
                    let stem = plain(&format!("{case} {number:03} {}", family(&dispatch.kernel)));
                    write(folder, &stem, &dispatch.kernel)?;
                    stems.insert(&dispatch.kernel, stem.clone());
                    stem
                }
            };
            let workgroups = dispatch.workgroups.map(|count| count.to_string()).join(" ");
            let number = number.to_string();
            let bindings = bindings(dispatch);
            let row = [
                case,
                &number,
                &stem,
                &workgroups,
                &bindings,
                &dispatch.label,
            ];
            table.write_record(row).map_err(failed)?;
        }
    }
    table.flush().map_err(Error::io("write", &path))?;
    Ok(stems.len())
}

fn write(folder: &Path, stem: &str, kernel: &Kernel) -> Result<()> {
    let Translation { spirv, msl, hlsl } = translate(kernel)?;
    let wgsl = expand(kernel)?;
    // Words in the byte order of this machine, which readers tell by the first.
    let spirv: &[u8] = bytemuck::cast_slice(&spirv);
    let files: [(&str, &[u8]); 4] = [
        ("wgsl", wgsl.as_bytes()),
        ("spv", spirv),
        ("metal", msl.as_bytes()),
        ("hlsl", hlsl.as_bytes()),
    ];
    for (extension, bytes) in files {
        let path = folder.join(format!("{stem}.{extension}"));
        fs::write(&path, bytes).map_err(Error::io("write", &path))?;
    }
    Ok(())
}

/// What is bound, in the order of bind group 0, with its number of f32.
fn bindings(dispatch: &Dispatch) -> String {
    let word = |access| match access {
        Access::Read => "read",
        Access::Write => "read_write",
    };
    let bindings = dispatch.bindings.iter();
    let storage = bindings.map(|binding| format!("{} {}", word(binding.access), binding.slice.len));
    let step = dispatch
        .kernel
        .reads_step
        .then(|| "uniform step".to_owned());
    storage.chain(step).collect::<Vec<_>>().join("; ")
}

/// A name that any file system takes: letters, digits and single dashes.
fn plain(name: &str) -> String {
    let parts = name.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::kernels;
    use crate::ops::Facts;

    #[test]
    fn each_kernel_is_written_once_in_four_languages() {
        let folder = tempfile::tempdir().unwrap();
        let words = ["matmul 512".to_owned()];
        let recordings = kernels::recordings(&Facts::SOFTWARE, &words).unwrap();
        let count = emit(folder.path(), &recordings).unwrap();
        let mut extensions: HashMap<String, usize> = HashMap::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().unwrap().to_str().unwrap().to_owned();
            *extensions.entry(extension).or_default() += 1;
            if path.extension().unwrap() == "spv" {
                let words: Vec<u32> = bytemuck::pod_collect_to_vec(&fs::read(&path).unwrap());
                assert_eq!(words[0], 0x0723_0203);
            }
        }
        for extension in ["wgsl", "spv", "metal", "hlsl"] {
            assert_eq!(extensions[extension], count, "{extension}");
        }
        let mut table = csv::Reader::from_path(folder.path().join("kernels.csv")).unwrap();
        let rows: Vec<csv::StringRecord> = table.records().map(|row| row.unwrap()).collect();
        let launches = recordings.iter().map(|(_, of)| of.dispatches().count());
        assert_eq!(rows.len(), launches.sum::<usize>());
        for row in rows {
            let wgsl = fs::read_to_string(folder.path().join(format!("{}.wgsl", &row[2])));
            let declared = wgsl.unwrap().matches("var<storage").count();
            let bound = row[4]
                .split("; ")
                .filter(|one| *one != "uniform step")
                .count();
            assert_eq!(declared, bound, "{row:?}");
        }
    }
}
