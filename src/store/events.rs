//! What TensorBoard shows of a run: records of a file that it reads in place, no server.
//!
//! A file is a sequence of TFRecords (length, its checksum, data, their checksum), each
//! an `Event` of `tensorflow/core/util/event.proto` in the wire format of protocol
//! buffers, of which four kinds of fields are enough.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::error::{Error, Result};

/// Appends events to a file of its own.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// A new file in a folder for what comes after `step`: of other files there later
    /// steps no longer count.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn create(folder: &Path, step: u64) -> Result<Self> {
        let now = now();
        let name = |number: u32| format!("events.out.tfevents.{:010}.gpugan.{number}", now as u64);
        let free = (0..).map(|number| folder.join(name(number)));
        // Two starts within one second.
        let path = free.into_iter().find(|path| !path.exists());
        let path = path.unwrap_or_else(|| folder.join(name(0)));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(Error::io("create", &path))?;
        let mut events = Self { path, file };
        let mut version = Message::default();
        version.text(3, "brain.Event:2");
        events.write(0, version)?;
        events.restart(step)?;
        Ok(events)
    }

    /// Steps after this one are taken anew.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn restart(&mut self, step: u64) -> Result<()> {
        let mut session = Message::default();
        // SessionLog.START, which takes back what has its step or a later one.
        session.whole(1, 1);
        let mut event = Message::default();
        event.message(7, session);
        self.write(step + 1, event)
    }

    /// All numbers of an object, those of objects in it as `name/inner`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn scalars(&mut self, step: u64, values: &impl serde::Serialize) -> Result<()> {
        let mut summary = Message::default();
        let values = serde_json::to_value(values);
        let values = values.map_err(|e| Error::io("write", &self.path)(e.into()))?;
        numbers("", &values, &mut |name, value| {
            let mut one = Message::default();
            one.text(1, name);
            one.single(2, value as f32);
            summary.message(1, one);
        });
        let mut event = Message::default();
        event.message(5, summary);
        self.write(step, event)
    }

    /// A PNG of this width and height.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn image(&mut self, step: u64, name: &str, size: (u32, u32), png: &[u8]) -> Result<()> {
        let mut image = Message::default();
        image.whole(1, size.1.into());
        image.whole(2, size.0.into());
        // RGB.
        image.whole(3, 3);
        image.bytes(4, png);
        let mut one = Message::default();
        one.text(1, name);
        one.message(4, image);
        let mut summary = Message::default();
        summary.message(1, one);
        let mut event = Message::default();
        event.message(5, summary);
        self.write(step, event)
    }

    /// Appends an event of now, by one call.
    fn write(&mut self, step: u64, rest: Message) -> Result<()> {
        let mut event = Message::default();
        event.double(1, now());
        event.whole(2, step);
        event.0.extend(rest.0);
        let record = record(&event.0);
        let written = self.file.write_all(&record);
        written.map_err(Error::io("write", &self.path))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Hands over the finite numbers of a value by name.
fn numbers(name: &str, value: &Value, take: &mut impl FnMut(&str, f64)) {
    match value {
        Value::Number(number) => number
            .as_f64()
            .into_iter()
            .for_each(|value| take(name, value)),
        Value::Object(values) => {
            // Events have their step themselves.
            for (inner, value) in values.iter().filter(|(inner, _)| *inner != "step") {
                match name {
                    "" => numbers(inner, value, take),
                    _ => numbers(&format!("{name}/{inner}"), value, take),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) => {}
    }
}

/// A message of protocol buffers, field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The number of a field and how it is written.
    fn key(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn whole(&mut self, field: u32, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u32, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn single(&mut self, field: u32, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u32, message: Message) {
        self.bytes(field, &message.0);
    }
}

/// Data with their length and checksums.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// A checksum as TFRecords have it: turned and shifted, so that one of data that hold
/// checksums is still one.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The records of a file, whose checksums are compared with a bitwise CRC-32C.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let masked = |data: &[u8]| {
            let mut crc = !0u32;
            for byte in data {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = (crc >> 1) ^ ((crc & 1) * 0x82f6_3b78);
                }
            }
            let crc = !crc;
            crc.rotate_right(15).wrapping_add(0xa282_ead8)
        };
        let sum = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
            assert_eq!(sum(&bytes[8..12]), masked(&bytes[..8]));
            let data = &bytes[12..12 + length];
            assert_eq!(sum(&bytes[12 + length..][..4]), masked(data));
            records.push(data.to_vec());
            bytes = &bytes[16 + length..];
        }
        records
    }

    /// The fields of a message: whole numbers and bytes of a float as they are.
    fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<Vec<u8>>> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            value
        }
        let mut fields: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let length = match key & 7 {
                0 => {
                    let value = varint(&mut bytes).to_le_bytes().to_vec();
                    fields.entry(key >> 3).or_default().push(value);
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                _ => 4,
            };
            fields
                .entry(key >> 3)
                .or_default()
                .push(bytes[..length].to_vec());
            bytes = &bytes[length..];
        }
        fields
    }

    #[test]
    fn what_is_written_is_read_back_record_by_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut events = Events::create(folder.path(), 40).expect("a file");
        let values = serde_json::json!({
            "step": 300, "loss_d": 0.25, "loss_g": null, "health": {"accuracy_real": 0.5, "verdicts": ["x"]}
        });
        events.scalars(300, &values).expect("written");
        events
            .image(300, "fakes", (640, 480), b"png")
            .expect("written");
        let second = Events::create(folder.path(), 0).expect("another file");
        assert_ne!(second.path, events.path);

        let bytes = std::fs::read(&events.path).expect("read");
        let all: Vec<_> = records(&bytes).iter().map(|data| fields(data)).collect();
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("a number"));
        assert_eq!(all.len(), 4);
        assert_eq!(all[0][&3][0], b"brain.Event:2");
        assert_eq!(number(&all[1][&2][0]), 41);
        assert_eq!(number(&fields(&all[1][&7][0])[&1][0]), 1);
        let wall = f64::from_le_bytes(all[2][&1][0][..].try_into().expect("a time"));
        assert!(wall > 1.7e9);
        assert_eq!(number(&all[2][&2][0]), 300);
        let values: Vec<(String, f32)> = fields(&all[2][&5][0])[&1]
            .iter()
            .map(|value| {
                let of = fields(value);
                let name = String::from_utf8(of[&1][0].clone()).expect("a name");
                (
                    name,
                    f32::from_le_bytes(of[&2][0][..].try_into().expect("a float")),
                )
            })
            .collect();
        let expected = [("health/accuracy_real", 0.5), ("loss_d", 0.25)];
        assert_eq!(
            values,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
        let image = fields(&fields(&fields(&all[3][&5][0])[&1][0])[&4][0]);
        assert_eq!([1, 2].map(|i| number(&image[&i][0])), [480, 640]);
        assert_eq!(image[&4][0], b"png");
    }

    #[test]
    fn the_checksum_is_the_one_that_the_format_names() {
        // The check value of CRC-32C.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }
}
