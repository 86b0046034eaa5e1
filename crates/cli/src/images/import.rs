//! `decnet images import`: a root file system that the operator has, copied as it is once nothing in it is amiss.
//!
//! It is copied first and looked through then, so what was checked is what is kept. One thing is changed: files lose the
//! rights that they would run with (`security.capability`), which a shell's container has not, so that they would not run.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Component, Path},
};

use anyhow::{Context, Result, anyhow, bail};
use decnet_fleet::catalogue::Distro;
use tar::EntryType;

use super::store::Store;
use crate::{BadInput, render};

/// Largest root file system.
const MAX_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Most files of one.
const MAX_ENTRIES: usize = 2_000_000;
/// Longest os-release that is read.
const MAX_OS_RELEASE: u64 = 64 * 1024;
/// The record of a file's rights as tar writes it, and what becomes of its name: unknown names are passed over.
const RIGHTS: &[u8; 33] = b"SCHILY.xattr.security.capability=";
const NO_RIGHTS: &[u8; 33] = b"DECNET.xattr.security.capability=";
/// Most bytes of one file's records.
const MAX_RECORDS: u64 = 1 << 20;
/// First bytes of what people take for a tar, and how it becomes one.
const PACKED: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "gzip -dc"),
    (b"\xfd7zXZ", "xz -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd -dc"),
    (b"BZh", "bzip2 -dc"),
    (b"PK\x03\x04", "unzip -p"),
];

/// What is wrong with a tar.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("entry {number} ({name}): {reason}")]
    Entry { number: usize, name: String, reason: &'static str },
    #[error("it is compressed; import what unpacks it: `{0} FILE | decnet images import DISTRO -`")]
    Packed(&'static str),
    #[error("it is no tar, or it is torn: {0}")]
    Torn(io::Error),
    #[error("it holds more than {MAX_ENTRIES} entries")]
    Many,
    #[error(
        "it has no {0}: that is no root file system (make the tar from its top folder: tar -C ROOT -cf FILE.tar .)"
    )]
    Lacks(&'static str),
}

pub(super) fn run(store: &Store, distro: &Distro, from: &Path) -> Result<()> {
    let locked = store.lock()?;
    let mut copy = locked.work_file()?;
    let shown = from.display();
    let mut source: Box<dyn Read> = if from == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(from).map_err(|error| anyhow!(BadInput(format!("{shown}: {error}"))))?;
        if !opened.metadata()?.is_file() {
            return Err(anyhow!(BadInput(format!("{shown} is no file; give a tar, or - for stdin"))));
        }
        Box::new(opened)
    };
    let copied = io::copy(&mut (&mut source).take(MAX_BYTES + 1), copy.as_file_mut())
        .with_context(|| format!("{shown} could not be copied into {}", store.folder().display()))?;
    if copied > MAX_BYTES {
        bail!("{shown} is larger than {} GB", MAX_BYTES / 1_000_000_000);
    }
    copy.as_file_mut().seek(SeekFrom::Start(0))?;
    let found = look(copy.as_file()).map_err(|unfit| anyhow!(BadInput(format!("{shown}: {unfit}"))))?;
    if let Some(id) = found.id.filter(|id| id != distro.id) {
        let id = decnet_logline::clean(&id).into_owned();
        eprintln!(
            "decnet: warning: its os-release says {id}, but {} is {}: a shell will contradict the decky",
            distro.slug, distro.id
        );
    }
    let disarmed = disarm(copy.as_file()).context("cannot take rights off files in the copy")?;
    if disarmed > 0 {
        eprintln!(
            "decnet: {disarmed} files lose the rights to run with (security.capability), such as ping's"
        );
    }
    let path = locked.finish(distro.slug, copy)?;
    render::line(&format!("{}: {} MB, {} entries", path.display(), copied.div_ceil(1_000_000), found.entries))
}

/// What a sound root file system says of itself.
#[derive(Debug)]
struct Found {
    entries: usize,
    /// `ID` of os-release.
    id: Option<String>,
}

fn look(mut file: &File) -> Result<Found, Unfit> {
    let mut head = [0; 6];
    let read = file.read(&mut head).map_err(Unfit::Torn)?;
    if let Some((_, how)) = PACKED.iter().find(|(magic, _)| head[..read].starts_with(magic)) {
        return Err(Unfit::Packed(how));
    }
    file.seek(SeekFrom::Start(0)).map_err(Unfit::Torn)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(256 * 1024, file));
    let (mut entries, mut id) = (0, None);
    let (mut passwd, mut shell, mut merged, mut merged_shell) = (false, false, false, false);
    for entry in archive.entries().map_err(Unfit::Torn)? {
        let mut entry = entry.map_err(Unfit::Torn)?;
        entries += 1;
        if entries > MAX_ENTRIES {
            return Err(Unfit::Many);
        }
        let path = entry.path().map_err(Unfit::Torn)?.into_owned();
        let kind = entry.header().entry_type();
        let refuse = |reason| {
            let name = decnet_logline::clean(&path.to_string_lossy()).chars().take(120).collect();
            Unfit::Entry { number: entries, name, reason }
        };
        let Some(inside) = below(&path) else { return Err(refuse("its name leads out of the tree")) };
        match kind {
            EntryType::Regular | EntryType::Directory | EntryType::Symlink | EntryType::GNUSparse => {}
            EntryType::Link => {
                let target = entry.link_name().map_err(Unfit::Torn)?;
                if target.is_none_or(|target| below(&target).is_none()) {
                    return Err(refuse("it is a hard link out of the tree"));
                }
            }
            // The container has a /dev of its own over this one.
            EntryType::Char | EntryType::Block | EntryType::Fifo if inside.starts_with("dev/") => {}
            EntryType::Char | EntryType::Block => return Err(refuse("it is a device")),
            EntryType::Fifo => return Err(refuse("it is a pipe")),
            EntryType::XGlobalHeader => continue,
            _ => return Err(refuse("it is of a kind that no root file system holds")),
        }
        match inside.as_str() {
            "etc/passwd" => passwd = kind == EntryType::Regular,
            "bin/sh" => shell = true,
            "bin" => {
                let target = entry.link_name().map_err(Unfit::Torn)?;
                merged = target.is_some_and(|to| to == Path::new("usr/bin") || to == Path::new("/usr/bin"));
            }
            "usr/bin/sh" => merged_shell = true,
            "etc/os-release" | "usr/lib/os-release" if kind == EntryType::Regular => {
                let mut text = Vec::new();
                (&mut entry).take(MAX_OS_RELEASE).read_to_end(&mut text).map_err(Unfit::Torn)?;
                id = os_id(&String::from_utf8_lossy(&text)).or(id);
            }
            _ => {}
        }
    }
    if !passwd {
        return Err(Unfit::Lacks("/etc/passwd"));
    }
    if !(shell || merged && merged_shell) {
        return Err(Unfit::Lacks("/bin/sh"));
    }
    Ok(Found { entries, id })
}

/// Gives the records of files' rights (tar's extended headers) a name that nobody knows and that is as long. How many.
fn disarm(mut file: &File) -> io::Result<usize> {
    let mut places = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        if entry.header().entry_type() != EntryType::XHeader {
            continue;
        }
        let begins = entry.raw_file_position();
        let mut records = Vec::new();
        entry.take(MAX_RECORDS).read_to_end(&mut records)?;
        let found = records.windows(RIGHTS.len()).position(|window| window == RIGHTS);
        places.extend(found.map(|at| begins + at as u64));
    }
    for place in &places {
        file.write_all_at(NO_RIGHTS, *place)?;
    }
    Ok(places.len())
}

/// A name as a path below the root, without `./`; `None` if it leads elsewhere.
fn below(path: &Path) -> Option<String> {
    let mut inside = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => inside.push(name.to_string_lossy()),
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside.join("/"))
}

fn os_id(text: &str) -> Option<String> {
    let id = text.lines().find_map(|line| line.trim().strip_prefix("ID="))?;
    Some(id.trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header
    }

    /// A tar with a sound system in it, and whatever `more` adds.
    fn tar_with(more: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Result<Found, Unfit> {
        let mut builder = tar::Builder::new(Vec::new());
        let files: [(&str, &[u8]); 3] = [
            ("./etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
            ("usr/bin/sh", b"x"),
            ("usr/lib/os-release", b"NAME=x\nID=\"alpine\"\n"),
        ];
        for (path, data) in files {
            builder.append_data(&mut header(EntryType::Regular, data.len() as u64), path, data).unwrap();
        }
        builder.append_link(&mut header(EntryType::Symlink, 0), "bin", "usr/bin").unwrap();
        more(&mut builder);
        check(&builder.into_inner().unwrap())
    }

    fn check(bytes: &[u8]) -> Result<Found, Unfit> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        look(&File::open(file.path()).unwrap())
    }

    /// An entry with a name that the builder itself would refuse.
    fn raw(builder: &mut tar::Builder<Vec<u8>>, kind: EntryType, name: &[u8], target: &[u8]) {
        let mut header = header(kind, 0);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..target.len()].copy_from_slice(target);
        header.set_cksum();
        builder.append(&header, io::empty()).unwrap();
    }

    #[test]
    fn a_sound_system_is_taken() {
        let found = tar_with(|builder| {
            raw(builder, EntryType::Char, b"dev/null", b"");
            raw(builder, EntryType::Symlink, b"etc/mtab", b"/proc/mounts");
            raw(builder, EntryType::Link, b"usr/bin/dash", b"./usr/bin/sh");
            raw(builder, EntryType::Directory, b"./", b"");
        })
        .unwrap();
        assert_eq!((found.entries, found.id.as_deref()), (8, Some("alpine")));
    }

    #[test]
    fn files_lose_the_rights_that_a_container_has_not() {
        let mut builder = tar::Builder::new(Vec::new());
        let right: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for name in ["usr/bin/ping", "usr/bin/other"] {
            builder
                .append_pax_extensions([("SCHILY.xattr.security.capability", right), ("comment", b"x")])
                .unwrap();
            builder.append_data(&mut header(EntryType::Regular, 700), name, &[b'x'; 700][..]).unwrap();
        }
        // Not a record, but what a file holds.
        builder.append_data(&mut header(EntryType::Regular, 33), "note", &RIGHTS[..]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), builder.into_inner().unwrap()).unwrap();
        assert_eq!(disarm(&File::options().read(true).write(true).open(file.path()).unwrap()).unwrap(), 2);
        let mut archive = tar::Archive::new(File::open(file.path()).unwrap());
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let records = entry.pax_extensions().unwrap();
            let keys = records.into_iter().flatten().map(|record| record.unwrap().key().unwrap().to_owned());
            let keys: Vec<_> = keys.collect();
            assert!(!keys.iter().any(|key| key.starts_with("SCHILY")), "{keys:?}");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            names.push((entry.path().unwrap().display().to_string(), content.len()));
            assert!(entry.path().unwrap() != Path::new("note") || content == RIGHTS);
        }
        let whole =
            [("usr/bin/ping".to_owned(), 700), ("usr/bin/other".to_owned(), 700), ("note".to_owned(), 33)];
        assert_eq!(names, whole);
    }

    #[test]
    fn what_leads_out_or_is_no_file_is_refused_by_its_number() {
        let bad: [(EntryType, &[u8], &[u8]); 8] = [
            (EntryType::Regular, b"/etc/shadow", b""),
            (EntryType::Regular, b"../x", b""),
            (EntryType::Regular, b"usr/../../x", b""),
            (EntryType::Link, b"x", b"/etc/shadow"),
            (EntryType::Link, b"x", b"../../etc/shadow"),
            (EntryType::Block, b"usr/sda", b""),
            (EntryType::Fifo, b"tmp/pipe", b""),
            (EntryType::new(b'V'), b"label", b""),
        ];
        for (kind, name, target) in bad {
            let unfit = tar_with(|builder| raw(builder, kind, name, target)).unwrap_err();
            assert!(unfit.to_string().starts_with("entry 5 ("), "{unfit}");
        }
        let unfit = tar_with(|builder| raw(builder, EntryType::Regular, b"../\x1b[31m", b"")).unwrap_err();
        assert!(!unfit.to_string().contains('\u{1b}'), "{unfit:?}");
    }

    #[test]
    fn other_things_are_named_for_what_they_are() {
        assert!(matches!(check(b"\x1f\x8b\x08\0\0\0\0"), Err(Unfit::Packed("gzip -dc"))));
        assert!(matches!(check(b""), Err(Unfit::Lacks("/etc/passwd"))));
        assert!(matches!(check(&[b'x'; 2048]), Err(Unfit::Torn(_))));
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header(EntryType::Regular, 1), "etc/passwd", &b"x"[..]).unwrap();
        let whole = builder.into_inner().unwrap();
        assert!(matches!(check(&whole), Err(Unfit::Lacks("/bin/sh"))));
        assert!(matches!(check(&whole[..700]), Err(Unfit::Torn(_) | Unfit::Lacks(_))));
    }
}
