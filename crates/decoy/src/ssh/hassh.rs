//! Reads the client's KEXINIT (RFC 4253 section 7.1) for its HASSH fingerprint: the MD5 over the algorithm lists
//! that a client offers. Knows nothing of what follows in the conversation.

/// Longest packet that is read before encryption (RFC 4253 section 6.1).
const PACKET_MAX: usize = 35_000;
const MSG_KEXINIT: u8 = 20;
const COOKIE: usize = 16;

/// What a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientOffer {
    pub(super) kex: String,
    pub(super) host_keys: String,
    pub(super) ciphers: String,
    pub(super) macs: String,
    pub(super) compression: String,
}

impl ClientOffer {
    /// The fingerprint, as salesforce/hassh defines it.
    pub(super) fn hassh(&self) -> String {
        let text = format!("{};{};{};{}", self.kex, self.ciphers, self.macs, self.compression);
        format!("{:x}", md5::compute(text))
    }
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Not yet a whole packet.
    More,
    /// The offer.
    Offer(ClientOffer),
    /// Not a KEXINIT: nothing to wait for.
    Other,
}

/// Reads the first binary packet of a client.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return Reading::More };
    let length = u32::from_be_bytes(*head) as usize;
    if length > PACKET_MAX {
        return Reading::Other;
    }
    let Some(packet) = rest.get(..length) else { return Reading::More };
    match parse(packet) {
        Some(offer) => Reading::Offer(offer),
        None => Reading::Other,
    }
}

fn parse(packet: &[u8]) -> Option<ClientOffer> {
    let (padding, rest) = packet.split_first()?;
    let payload = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    let (kind, rest) = payload.split_first()?;
    if *kind != MSG_KEXINIT {
        return None;
    }
    let mut rest = rest.get(COOKIE..)?;
    let kex = name_list(&mut rest)?;
    let host_keys = name_list(&mut rest)?;
    let ciphers = name_list(&mut rest)?;
    name_list(&mut rest)?;
    let macs = name_list(&mut rest)?;
    name_list(&mut rest)?;
    let compression = name_list(&mut rest)?;
    Some(ClientOffer { kex, host_keys, ciphers, macs, compression })
}

fn name_list(rest: &mut &[u8]) -> Option<String> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    let (list, tail) = tail.split_at_checked(u32::from_be_bytes(*head) as usize)?;
    *rest = tail;
    Some(String::from_utf8_lossy(list).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(lists: &[&str]) -> Vec<u8> {
        let mut payload = vec![MSG_KEXINIT];
        payload.extend([7; COOKIE]);
        for list in lists {
            payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 5]);
        let mut bytes = u32::try_from(payload.len() + 5).unwrap().to_be_bytes().to_vec();
        bytes.push(4);
        bytes.extend(payload);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn the_fingerprint_is_the_published_one() {
        // Example of the HASSH project's README: a client and its fingerprint are MD5 over the joined lists.
        let bytes = packet(&["k1,k2", "h1", "c1,c2", "s1", "m1", "m2", "none", "zlib", "", ""]);
        let Reading::Offer(offer) = read(&bytes) else { panic!("not read") };
        assert_eq!(offer.host_keys, "h1");
        assert_eq!(offer.hassh(), format!("{:x}", md5::compute("k1,k2;c1,c2;m1;none")));
    }

    #[test]
    fn every_prefix_waits_and_every_cut_inside_is_no_offer() {
        let bytes = packet(&["k", "h", "c", "c", "m", "m", "n", "n", "", ""]);
        for end in 0..bytes.len() - 4 {
            assert_eq!(read(&bytes[..end]), Reading::More, "at {end}");
        }
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bad = bytes.clone();
                bad[at] = value;
                // Whatever it is taken for, it must not panic.
                let _ = read(&bad);
            }
        }
        assert_eq!(read(b"\xff\xff\xff\xff"), Reading::Other);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
