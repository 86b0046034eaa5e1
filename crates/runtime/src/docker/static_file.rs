//! Programs that go into containers which hold no loader and no library: whether a file is one.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// The program header that names a loader.
const PT_INTERP: u32 = 3;
/// More program headers than any real file has.
const MAX_HEADERS: u16 = 256;

/// Whether `path` is a 64-bit little-endian ELF file that needs no loader. `Err` with the reason if it is none.
pub(super) fn check(path: &Path) -> Result<(), String> {
    match interpreter(path) {
        Ok(false) => Ok(()),
        Ok(true) => Err("it is not static: it wants a loader".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn interpreter(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut head = [0; 64];
    file.read_exact(&mut head)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err(io::Error::other("it is no 64-bit ELF program"));
    }
    let table = u64::from_le_bytes(part(&head, 32)?);
    let size = u16::from_le_bytes(part(&head, 54)?);
    let count = u16::from_le_bytes(part(&head, 56)?).min(MAX_HEADERS);
    for index in 0..count {
        let at = table.saturating_add(u64::from(index) * u64::from(size));
        file.seek(SeekFrom::Start(at))?;
        let mut kind = [0; 4];
        file.read_exact(&mut kind)?;
        if u32::from_le_bytes(kind) == PT_INTERP {
            return Ok(true);
        }
    }
    Ok(false)
}

fn part<const N: usize>(head: &[u8], at: usize) -> io::Result<[u8; N]> {
    let bytes = head.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| io::Error::other("its header is cut off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_and_a_script_are_told_apart_from_a_static_one() {
        assert!(check(&std::env::current_exe().unwrap()).unwrap_err().contains("not static"));
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), format!("#!/bin/sh\n{}", "#".repeat(100))).unwrap();
        assert!(check(script.path()).unwrap_err().contains("no 64-bit ELF"));
        assert!(check(Path::new("/nonexistent")).is_err());
    }
}
