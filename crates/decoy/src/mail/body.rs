//! Where the bytes of a message are: in memory, or in the file they were delivered as.
//!
//! A mailbox of hundreds of mails keeps their sizes and the places they lie at; what a client asks for is read then. Line
//! ends are made CRLF on the way, so that sizes and ranges agree with what is sent.

use std::{fs, io::Read, path::Path, sync::Arc};

/// Bytes of the largest message that is served.
pub const SIZE_MAX: u64 = 1 << 20;

/// The bytes of a message.
#[derive(Debug, Clone)]
pub enum Body {
    /// In memory, with CRLF.
    Memory(Arc<[u8]>),
    /// In this file.
    File(Arc<Path>),
}

impl Body {
    /// The bytes with CRLF; `None` if the file is gone.
    pub fn bytes(&self) -> Option<Arc<[u8]>> {
        match self {
            Self::Memory(bytes) => Some(bytes.clone()),
            Self::File(path) => read(path).map(Into::into),
        }
    }
}

/// A file's bytes with CRLF; `None` if it cannot be read, is too large or no regular file.
pub fn read(path: &Path) -> Option<Vec<u8>> {
    // Links are not followed: a mailbox must not become a way to other files.
    let meta = fs::symlink_metadata(path).ok().filter(|meta| meta.is_file() && meta.len() <= SIZE_MAX)?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    fs::File::open(path).ok()?.take(SIZE_MAX).read_to_end(&mut bytes).ok()?;
    Some(if is_crlf(&bytes) { bytes } else { crlf(&bytes) })
}

fn is_crlf(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.iter().all(|byte| {
        let fine = *byte != b'\n' || before == b'\r';
        before = *byte;
        fine
    })
}

/// The bytes with every line end as CRLF.
pub fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 30);
    let mut before = 0;
    for byte in bytes {
        if *byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        before = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_crlf_and_only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m");
        for (text, want) in
            [(&b"a\nb\r\nc\r"[..], &b"a\r\nb\r\nc\r"[..]), (b"\n\r\n", b"\r\n\r\n"), (b"x", b"x")]
        {
            fs::write(&file, text).unwrap();
            assert_eq!(read(&file).as_deref(), Some(want));
        }
        let link = folder.path().join("l");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert_eq!(read(&link), None);
        assert_eq!(read(&folder.path().join("none")), None);
        fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(read(&file), None);
    }
}
