//! What a client asks of `sftp-server`, read on its way: which files it opens, removes, renames. The content of files
//! passes unread (the host captures what was written), and nothing here can stop or change a transfer.

/// Longest request that is kept to be read; what is longer is data.
const REQUEST_MAX: usize = 16 << 10;
/// Requests of one session that are reported.
pub(super) const REPORTED_MAX: u32 = 2000;

/// A request worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) op: &'static str,
    pub(super) path: Vec<u8>,
    /// Where to, of those that have two paths.
    pub(super) target: Option<Vec<u8>>,
}

/// Reads the client's side of the conversation.
#[derive(Debug, Default)]
pub(super) struct Reader {
    held: Vec<u8>,
    /// Bytes of a packet that is not read.
    skip: usize,
}

impl Reader {
    /// More of it; returns the requests that are complete.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Vec<Request> {
        let mut requests = Vec::new();
        while !bytes.is_empty() {
            if self.skip > 0 {
                let gone = self.skip.min(bytes.len());
                self.skip -= gone;
                bytes = bytes.get(gone..).unwrap_or_default();
                continue;
            }
            let wanted = match self.held.first_chunk::<4>() {
                None => 4 - self.held.len(),
                Some(len) => {
                    let len = u32::from_be_bytes(*len) as usize;
                    // The kind decides as soon as it is there whether the rest is of interest.
                    let kind = self.held.get(4).copied();
                    if len == 0 || len > REQUEST_MAX || kind.is_some_and(|kind| name(kind).is_none()) {
                        self.skip = (len + 4).saturating_sub(self.held.len());
                        self.held.clear();
                        continue;
                    }
                    if kind.is_none() { 1 } else { (len + 4).saturating_sub(self.held.len()) }
                }
            };
            let part = bytes.get(..wanted).unwrap_or(bytes);
            self.held.extend_from_slice(part);
            bytes = bytes.get(part.len()..).unwrap_or_default();
            let whole = self.held.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize + 4);
            if self.held.len() > 4 && whole.is_some_and(|whole| self.held.len() >= whole) {
                requests.extend(parse(&self.held));
                self.held.clear();
            }
        }
        requests
    }
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        3 => "open",
        9 => "setstat",
        11 => "opendir",
        13 => "remove",
        14 => "mkdir",
        15 => "rmdir",
        18 => "rename",
        20 => "symlink",
        200 => "extended",
        _ => return None,
    })
}

fn parse(packet: &[u8]) -> Option<Request> {
    let kind = *packet.get(4)?;
    let mut rest = packet.get(9..)?;
    let mut op = name(kind)?;
    let mut path = string(&mut rest)?;
    let mut target = None;
    match kind {
        // Bits of the open flags: write 2, append 4.
        3 if u32::from_be_bytes(*rest.first_chunk()?) & 0x6 != 0 => op = "open_write",
        3 => op = "open_read",
        18 | 20 => target = Some(string(&mut rest)?),
        200 => {
            op = match &*path {
                b"posix-rename@openssh.com" => "rename",
                b"hardlink@openssh.com" => "hardlink",
                _ => return None,
            };
            path = string(&mut rest)?;
            target = Some(string(&mut rest)?);
        }
        _ => {}
    }
    Some(Request { op, path, target })
}

fn string(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (text, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *rest = after;
    Some(text.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(kind: u8, strings: &[&[u8]], tail: &[u8]) -> Vec<u8> {
        let mut body = vec![kind, 0, 0, 0, 7];
        for text in strings {
            body.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
            body.extend_from_slice(text);
        }
        body.extend_from_slice(tail);
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn requests_are_read_between_data_however_it_is_cut() {
        let bytes = [
            packet(1, &[], &[]),
            packet(3, &[b"/tmp/x"], &0x1au32.to_be_bytes()),
            packet(6, &[b"handle", &vec![13; 40_000]], &[]),
            packet(200, &[b"posix-rename@openssh.com", b"/tmp/x", b"/usr/bin/ls"], &[]),
            packet(13, &[b"/var/log/wtmp"], &[]),
        ]
        .concat();
        for cut in [1, 7, 1000, bytes.len()] {
            let mut reader = Reader::default();
            let seen: Vec<_> = bytes.chunks(cut).flat_map(|part| reader.push(part)).collect();
            let ops: Vec<_> = seen.iter().map(|request| request.op).collect();
            assert_eq!(ops, ["open_write", "rename", "remove"], "cut at {cut}");
            assert_eq!(seen[1].target.as_deref(), Some(&b"/usr/bin/ls"[..]));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_or_growth(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..30)) {
            let mut reader = Reader::default();
            for part in parts {
                reader.push(&part);
                prop_assert!(reader.held.len() <= REQUEST_MAX + 4);
            }
        }
    }
}
