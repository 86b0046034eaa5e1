//! Files that were planted on this machine (`<root>/var/www/html`) and the types of files.
//!
//! Nothing outside the folder is ever read: links that lead out are as good as missing.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::server::Family;

/// Largest planted file that is served.
const FILE_MAX: u64 = 8 << 20;

/// What was planted for a path.
pub enum Planted {
    /// A file: name, bytes, time.
    File(String, Vec<u8>, DateTime<Utc>),
    /// A folder that was asked for without its slash.
    Folder,
    /// A folder without an index.
    Bare,
    /// Nothing.
    Nothing,
}

/// What was planted for this path.
pub fn planted(files: Option<&Path>, path: &str) -> Planted {
    let Some(base) = files.and_then(|base| base.canonicalize().ok()) else {
        return Planted::Nothing;
    };
    // A link may not lead out of the folder.
    let inside = |name: &str| {
        let found = base.join(name).canonicalize().ok()?;
        (found.starts_with(&base) && !hidden(&found, &base)).then_some(found)
    };
    let Some(found) = inside(path.trim_matches('/')) else { return Planted::Nothing };
    let as_folder = path.ends_with('/');
    let file = if found.is_dir() {
        if !as_folder {
            return Planted::Folder;
        }
        match inside(format!("{}/index.html", path.trim_matches('/')).trim_start_matches('/')) {
            Some(index) => index,
            // The root without an index is the company's own site.
            None if path == "/" => return Planted::Nothing,
            None => return Planted::Bare,
        }
    } else if as_folder {
        return Planted::Nothing;
    } else {
        found
    };
    let read = || {
        let meta = file.metadata().ok().filter(|meta| meta.is_file() && meta.len() <= FILE_MAX)?;
        Some(Planted::File(
            file.file_name()?.to_string_lossy().into_owned(),
            std::fs::read(&file).ok()?,
            meta.modified().ok()?.into(),
        ))
    };
    read().unwrap_or(Planted::Nothing)
}

fn hidden(found: &Path, base: &Path) -> bool {
    found
        .strip_prefix(base)
        .is_ok_and(|rest| rest.iter().any(|part| part.to_string_lossy().starts_with(".ht")))
}

/// Type of a file by its ending, as the packages' `mime.types` have it.
pub fn content_type(path: &str, family: Family) -> &'static str {
    let nginx = family == Family::Nginx;
    match path.rsplit('/').next().unwrap_or_default().rsplit_once('.').map(|(_, ending)| ending) {
        Some("html" | "htm") => "text/html",
        Some("css") => "text/css",
        Some("js") => {
            if nginx {
                "application/javascript"
            } else {
                "text/javascript"
            }
        }
        Some("xml") => {
            if nginx {
                "text/xml"
            } else {
                "application/xml"
            }
        }
        Some("txt") => "text/plain",
        Some("json") => "application/json",
        Some("ico") => {
            if nginx {
                "image/x-icon"
            } else {
                "image/vnd.microsoft.icon"
            }
        }
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("svg") => "image/svg+xml",
        Some("pdf") => "application/pdf",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("zip") => "application/zip",
        _ => {
            if nginx {
                "application/octet-stream"
            } else {
                ""
            }
        }
    }
}
