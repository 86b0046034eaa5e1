//! Error and redirect pages, byte for byte as nginx and Apache print them.
//!
//! The texts were taken from nginx 1.22.1 and Apache 2.4.71 as Debian 12 ships them; the differences of older
//! releases are flags of [`Server`]. It deliberately knows no headers: see `reply`.

use std::fmt::Write as _;

use super::server::{Family, Server};

/// What a page may mention of the request.
#[derive(Debug, Clone, Default)]
pub struct About<'a> {
    /// Method as sent.
    pub method: &'a str,
    /// Decoded path.
    pub path: &'a str,
    /// Host and port of the request, if it named any.
    pub host: Option<(String, u16)>,
    /// Port of the server.
    pub port: u16,
    /// Target of a redirect.
    pub location: &'a str,
    /// Value of `Expect:` for 417.
    pub expect: &'a str,
    /// nginx pads pages for browsers that would hide short ones.
    pub pad: bool,
    /// Second sentence of Apache's 400.
    pub detail: &'a str,
}

/// Reason phrase of the status line.
pub fn reason(server: &Server, status: u16) -> &'static str {
    let nginx = server.family == Family::Nginx;
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 if nginx => "Moved Temporarily",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 if nginx => "Not Allowed",
        405 => "Method Not Allowed",
        408 if nginx => "Request Time-out",
        408 => "Request Timeout",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 if nginx => "Request-URI Too Large",
        414 => "Request-URI Too Long",
        416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed",
        501 => "Not Implemented",
        503 if nginx => "Service Temporarily Unavailable",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        _ => "Unknown",
    }
}

/// The page for a status.
pub fn page(server: &Server, status: u16, about: &About<'_>) -> String {
    match server.family {
        Family::Nginx => nginx(server, status, about),
        Family::Apache => apache(server, status, about),
    }
}

fn nginx(server: &Server, status: u16, about: &About<'_>) -> String {
    let title = match status {
        302 => "302 Found".to_owned(),
        401 => "401 Authorization Required".to_owned(),
        400 if !about.detail.is_empty() => format!("400 {}", about.detail),
        _ => format!("{status} {}", reason(server, status)),
    };
    let heading = if status == 400 { "400 Bad Request" } else { title.as_str() };
    let mut page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n"
    );
    if !about.detail.is_empty() {
        let _ = write!(page, "<center>{}</center>\r\n", about.detail);
    }
    let _ = write!(page, "<hr><center>{}</center>\r\n</body>\r\n</html>\r\n", server.token);
    if about.pad && status >= 400 {
        for _ in 0..6 {
            page.push_str("<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n");
        }
    }
    page
}

fn apache(server: &Server, status: u16, about: &About<'_>) -> String {
    let reason = reason(server, status);
    let doctype = if server.recent {
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\">"
    } else {
        "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">"
    };
    let method = escape(about.method);
    let path = escape(about.path);
    let text = match status {
        301 | 302 => format!("<p>The document has moved <a href=\"{}\">here</a>.</p>\n", escape(about.location)),
        401 => "<p>This server could not verify that you\nare authorized to access the document\nrequested.  Either you supplied the wrong\ncredentials (e.g., bad password), or your\nbrowser doesn't understand how to supply\nthe credentials required.</p>\n".to_owned(),
        403 if server.lenient => format!("<p>You don't have permission to access {path}\non this server.</p>\n"),
        403 => "<p>You don't have permission to access this resource.</p>\n".to_owned(),
        404 if server.lenient => format!("<p>The requested URL {path} was not found on this server.</p>\n"),
        404 => "<p>The requested URL was not found on this server.</p>\n".to_owned(),
        405 if server.lenient => {
            format!("<p>The requested method {method} is not allowed for the URL {path}.</p>\n")
        }
        405 => format!("<p>The requested method {method} is not allowed for this URL.</p>\n"),
        408 => "<p>Server timeout waiting for the HTTP request from the client.</p>\n".to_owned(),
        413 => format!("The requested resource does not allow request data with {method} requests, or the amount of data provided in\nthe request exceeds the capacity limit.\n"),
        414 => "<p>The requested URL's length exceeds the capacity\nlimit for this server.<br />\n</p>\n".to_owned(),
        416 => "<p>None of the range-specifier values in the Range\nrequest-header field overlap the current extent\nof the selected resource.</p>\n".to_owned(),
        417 => format!("<p>The expectation given in the Expect request-header\nfield could not be met by this server.\nThe client sent<pre>\n    Expect: {}\n</pre>\n</p><p>Only the 100-continue expectation is supported.</p>\n", escape(about.expect)),
        501 => format!("<p>{method} not supported for current URL.<br />\n</p>\n"),
        503 => "<p>The server is temporarily unable to service your\nrequest due to maintenance downtime or capacity\nproblems. Please try again later.</p>\n".to_owned(),
        _ => format!("<p>Your browser sent a request that this server could not understand.<br />\n{}</p>\n", about.detail),
    };
    let mut page = format!(
        "{doctype}\n<html><head>\n<title>{status} {reason}</title>\n</head><body>\n<h1>{reason}</h1>\n{text}"
    );
    if server.signature {
        let (host, port) = about.host.clone().unwrap_or_else(|| (server.host.clone(), about.port));
        let _ = write!(
            page,
            "<hr>\n<address>{} Server at {} Port {port}</address>\n",
            server.token,
            escape(host.trim_start_matches('[').trim_end_matches(']'))
        );
    }
    page.push_str("</body></html>\n");
    page
}

/// Text inside HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    fn server(token: &str) -> Server {
        Server::choose(&FleetSecret::from_number(1).seed(), "debian", "web.test.lan", Some(token))
    }

    /// Lengths that the real servers sent on 127.0.0.1:18080 and :18081.
    #[test]
    fn pages_are_as_long_as_the_real_ones() {
        let nginx = server("nginx/1.22.1");
        for (status, length) in [
            (400, 157),
            (404, 153),
            (405, 157),
            (413, 183),
            (414, 177),
            (416, 197),
            (501, 165),
            (505, 187),
            (301, 169),
            (412, 173),
        ] {
            assert_eq!(page(&nginx, status, &About::default()).len(), length, "{status}");
        }
        let large = About { detail: "Request Header Or Cookie Too Large", ..About::default() };
        assert_eq!(page(&nginx, 400, &large).len(), 233);

        let apache = server("Apache/2.4.71 (Debian)");
        let early = About { port: 18081, ..About::default() };
        let at_x = About { port: 18081, host: Some(("x".into(), 18081)), ..About::default() };
        assert_eq!(page(&apache, 400, &early).len(), 347);
        assert_eq!(page(&apache, 414, &early).len(), 369);
        assert_eq!(page(&apache, 404, &at_x).len(), 306);
        assert_eq!(page(&apache, 403, &at_x).len(), 309);
        assert_eq!(page(&apache, 405, &About { method: "PUT", ..at_x.clone() }).len(), 330);
        assert_eq!(page(&apache, 501, &About { method: "FOOBAR", ..at_x.clone() }).len(), 315);
        assert_eq!(page(&apache, 416, &at_x).len(), 0x1a8);
        assert_eq!(page(&apache, 417, &About { expect: "foo", ..at_x.clone() }).len(), 465);
        let moved =
            About { location: "http://x.lan/sub/", host: Some(("x.lan".into(), 80)), ..About::default() };
        assert_eq!(page(&apache, 301, &moved).len(), 336);
    }

    #[test]
    fn nothing_of_a_request_becomes_markup() {
        let about = About { method: "<b>", path: "/<i>", host: Some(("<u>".into(), 1)), ..About::default() };
        for status in [403, 404, 405, 501] {
            let page = page(&server("Apache/2.4.6 (CentOS)"), status, &about);
            assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<u>"), "{page}");
        }
    }
}
