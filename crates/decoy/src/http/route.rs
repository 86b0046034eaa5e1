//! Which answer a request gets: files of the decky, custom body, fake application, company site, sign-in, errors.
//!
//! Pure: takes a request and returns a reply and what was learned of a sign-in. Sockets, captures and the wire
//! format live elsewhere.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use decnet_core::{HostPersona, Seed};

use super::{
    apps::{App, AppPage},
    compress::compress,
    creds::{self, Captured},
    errors::About,
    files::{self, Planted, planted},
    head::Head,
    reply::{Reply, conditional},
    server::{Family, Server},
    site::{Site, period_start},
    target::{self, Refusal, Target},
};

/// What the operator set.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Status of every page that would be shown.
    pub response_code: Option<u16>,
    /// Shown for every path.
    pub custom_body: Option<String>,
    /// Application instead of the site.
    pub fake_app: Option<App>,
    /// Further headers of every answer.
    pub extra_headers: Vec<(String, String)>,
    /// Folder with planted files (`<root>/var/www/html`, or the setting `files`).
    pub files: Option<PathBuf>,
}

/// Everything that answers depend on.
pub struct Router {
    /// The claimed server.
    pub server: Server,
    /// The machine.
    pub persona: Arc<HostPersona>,
    /// Node of the service.
    pub seed: Seed,
    /// Settings.
    pub options: Options,
    /// The site of the present period.
    pub site: Mutex<Option<(DateTime<Utc>, Arc<Site>)>>,
}

/// A request with its body.
pub struct Asked<'a> {
    /// Head.
    pub head: &'a Head,
    /// Kept body.
    pub body: &'a [u8],
    /// The credential in it.
    pub captured: Option<&'a Captured>,
    /// Port that was connected to.
    pub port: u16,
    /// Now.
    pub now: DateTime<Utc>,
    /// A fresh session id, should a script need one.
    pub session: &'a str,
}

/// An answer and what it means.
pub struct Routed {
    /// The reply.
    pub reply: Reply,
    /// `success` or `failure` of a sign-in that was tried.
    pub outcome: Option<&'static str>,
    /// Decoded path, when there is one.
    pub path: Option<String>,
    /// Query as sent.
    pub query: Option<String>,
}

impl Router {
    /// Answers a request.
    pub fn route(&self, asked: &Asked<'_>) -> Routed {
        let head = asked.head;
        let mut about = about(head, asked.port);
        let target = match target::read(&head.target, self.server.family) {
            Ok(target) => target,
            Err(refusal) => {
                let raw = String::from_utf8_lossy(&head.target).into_owned();
                about.path = &raw;
                let status = if refusal == Refusal::Bad { 400 } else { 404 };
                let mut reply = Reply::error(&self.server, status, &about);
                reply.close = status == 400;
                return Routed { reply, outcome: None, path: None, query: None };
            }
        };
        about.path = &target.path;
        let (reply, outcome) = self.answer(asked, &target, &about);
        let mut reply = conditional(reply, head, &self.server, &about, asked.now);
        compress(&mut reply, head, &self.server);
        // What frames a body in two ways is a smuggling attempt: Apache answers and hangs up.
        reply.close |= head.get("transfer-encoding").is_some() && head.get("content-length").is_some();
        Routed { reply, outcome, path: Some(target.path.clone()), query: target.query }
    }

    fn answer(&self, asked: &Asked<'_>, target: &Target, about: &About<'_>) -> (Reply, Option<&'static str>) {
        let (head, path) = (asked.head, target.path.as_str());
        let error = |status| Reply::error(&self.server, status, about);
        if let Some(reply) = self.special_method(head, about) {
            return (reply, None);
        }
        match planted(self.options.files.as_deref(), path) {
            Planted::File(name, body, modified) => {
                return (self.static_file(head, &name, body, modified, about), None);
            }
            Planted::Folder => return (self.to_folder(path, about), None),
            Planted::Bare => return (error(403), None),
            Planted::Nothing => {}
        }
        if let Some(body) = &self.options.custom_body {
            let status = self.options.response_code.unwrap_or(200);
            let reply = Reply {
                status,
                content_type: Some("text/html".to_owned()),
                body: body.clone().into_bytes(),
                ..Reply::default()
            };
            return (reply, None);
        }
        let (reply, outcome) = match self.options.fake_app {
            Some(app) => self.app(app, asked, path, about),
            None => self.site(asked, path, about),
        };
        match self.options.response_code {
            // The operator's code replaces what would have been "there is nothing here".
            Some(status) if reply.status == 404 => (error(status), outcome),
            _ => (reply, outcome),
        }
    }

    /// Methods that no page sees.
    fn special_method(&self, head: &Head, about: &About<'_>) -> Option<Reply> {
        let apache = self.server.family == Family::Apache;
        let error = |status| Reply::error(&self.server, status, about);
        match head.method.as_str() {
            "TRACE" if !apache => Some(error(405).closing()),
            "TRACE" if self.server.trace => {
                let mut echo = format!(
                    "{} {} {}\r\n",
                    head.method,
                    String::from_utf8_lossy(&head.target),
                    head.version_text
                )
                .into_bytes();
                for (name, value) in &head.headers {
                    echo.extend_from_slice(name.as_bytes());
                    echo.extend_from_slice(b": ");
                    echo.extend_from_slice(value);
                    echo.extend_from_slice(b"\r\n");
                }
                echo.extend_from_slice(b"\r\n");
                Some(Reply {
                    status: 200,
                    content_type: Some("message/http".to_owned()),
                    body: echo,
                    ..Reply::default()
                })
            }
            "TRACE" => Some(error(405).with("Allow", "")),
            "OPTIONS" if apache && head.target == b"*" => Some(Reply { status: 200, ..Reply::default() }),
            "OPTIONS" if apache => Some(
                Reply { status: 200, content_type: Some("text/html".to_owned()), ..Reply::default() }
                    .with("Allow", self.server.allow_header()),
            ),
            "GET" | "HEAD" | "POST" => None,
            "PUT" | "DELETE" | "PATCH" | "CONNECT" | "PROPFIND" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE"
            | "LOCK" | "UNLOCK"
                if apache =>
            {
                Some(error(405).with("Allow", self.server.allow_header()))
            }
            _ if apache => Some(error(501).with("Allow", self.server.allow_header()).closing()),
            // nginx hands any method to the file module, which allows two; an unknown path with PUT is "not found".
            "PUT" | "PATCH" => None,
            _ => Some(error(405)),
        }
    }

    fn static_file(
        &self,
        head: &Head,
        path: &str,
        body: Vec<u8>,
        modified: DateTime<Utc>,
        about: &About<'_>,
    ) -> Reply {
        // Apache's default handler answers POST like GET; nginx refuses it.
        if self.server.family == Family::Nginx && !matches!(head.method.as_str(), "GET" | "HEAD") {
            return Reply::error(&self.server, 405, about);
        }
        Reply::file(files::content_type(path, self.server.family), body, modified)
    }

    fn site(&self, asked: &Asked<'_>, path: &str, about: &About<'_>) -> (Reply, Option<&'static str>) {
        let site = self.current_site(asked.now);
        let error = |status| Reply::error(&self.server, status, about);
        if path == site.login {
            return self.sign_in(asked, &site);
        }
        if path.starts_with(&site.guarded) {
            let known =
                asked.captured.filter(|c| c.method == "basic").map(|c| self.account_email(c).is_some());
            let outcome = known.map(|right| if right { "success" } else { "failure" });
            // Whoever has a right password still is not in the group that may enter.
            let reply = if known == Some(true) {
                error(403)
            } else {
                error(401).with("WWW-Authenticate", format!("Basic realm=\"{}\"", site.realm))
            };
            return (reply, outcome);
        }
        if let Some(page) = site.page(path) {
            let named = if page.path.ends_with('/') { "index.html" } else { page.path.as_str() };
            return (self.static_file(asked.head, named, page.body.clone(), page.modified, about), None);
        }
        if site.is_folder(path) {
            return (self.to_folder(path, about), None);
        }
        let apache = self.server.family == Family::Apache;
        let hidden = apache
            && (path.rsplit('/').next().is_some_and(|name| name.starts_with(".ht"))
                // No such file name can be asked for.
                || path.split('/').any(|name| name.len() > 255)
                || path == "/server-status");
        let folder = path.ends_with('/') && site.is_folder(path.trim_end_matches('/'));
        (error(if hidden || folder { 403 } else { 404 }), None)
    }

    /// The site as it stands now; built once a period.
    fn current_site(&self, now: DateTime<Utc>) -> Arc<Site> {
        let period = period_start(&self.seed, now);
        let mut cached = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, site)) = cached.as_ref().filter(|(start, _)| *start == period) {
            return site.clone();
        }
        let site = Arc::new(Site::build(&self.seed, &self.persona, now));
        *cached = Some((period, site.clone()));
        site
    }

    fn to_folder(&self, path: &str, about: &About<'_>) -> Reply {
        let (host, port) = about.host.clone().unwrap_or_else(|| (self.server.host.clone(), about.port));
        // nginx builds the target from its own port, Apache from the request's.
        let port = if self.server.family == Family::Nginx { about.port } else { port };
        let location =
            if port == 80 { format!("http://{host}{path}/") } else { format!("http://{host}:{port}{path}/") };
        Reply::error(&self.server, 301, &About { location: &location, ..about.clone() })
    }

    fn sign_in(&self, asked: &Asked<'_>, site: &Site) -> (Reply, Option<&'static str>) {
        let scripted = |page: String| {
            let reply = Reply::script(200, page);
            let reply = if asked.head.has_cookie("PHPSESSID") {
                reply
            } else {
                reply.with("Set-Cookie", format!("PHPSESSID={}; path=/", asked.session))
            };
            reply
                .with("Expires", "Thu, 19 Nov 1981 08:52:00 GMT")
                .with("Cache-Control", "no-store, no-cache, must-revalidate")
                .with("Pragma", "no-cache")
        };
        let Some(captured) = asked.captured else {
            let tried_code = asked.head.method == "POST"
                && creds::urlencoded(asked.body).iter().any(|(key, _)| key == "code");
            return (
                scripted(site.login_page(if tried_code { "The code is wrong or has expired." } else { "" })),
                None,
            );
        };
        match self.account_email(captured) {
            Some(email) => (scripted(site.second_factor_page(email)), Some("success")),
            None => (scripted(site.login_page("User name or password is incorrect.")), Some("failure")),
        }
    }

    /// The mail address of the planted account that this credential opens.
    fn account_email(&self, captured: &Captured) -> Option<&str> {
        let name = captured.secret.principal.as_deref()?;
        self.persona
            .accounts
            .iter()
            .find(|account| {
                (account.login == name || account.email.eq_ignore_ascii_case(name))
                    && account.password.as_bytes() == captured.secret.bytes
            })
            .map(|account| account.email.as_str())
    }

    fn app(
        &self,
        app: App,
        asked: &Asked<'_>,
        path: &str,
        about: &About<'_>,
    ) -> (Reply, Option<&'static str>) {
        let posted = asked.captured.filter(|_| asked.head.method == "POST");
        let name = posted.map(|captured| captured.secret.principal.as_deref().unwrap_or_default());
        let outcome = posted.map(|_| "failure");
        let reply = match app.page(&self.seed, &self.persona.company, path, name) {
            Some(AppPage::File(text)) => {
                let modified = period_start(&self.seed, asked.now);
                self.static_file(asked.head, "index.html", text.into_bytes(), modified, about)
            }
            Some(AppPage::Script(text, headers)) => headers
                .into_iter()
                .fold(Reply::script(200, text), |reply, (name, value)| reply.with(name, value)),
            Some(AppPage::Redirect(to)) => Reply { location: Some(to), ..Reply::script(302, String::new()) },
            None => Reply::error(&self.server, 404, about),
        };
        (reply, outcome)
    }
}

/// What error pages may mention of a request.
pub fn about(head: &Head, port: u16) -> About<'_> {
    let host = head.text("host").filter(|text| !text.is_empty()).map(|text| match text.rsplit_once(':') {
        Some((name, digits)) if !name.is_empty() && !digits.contains(']') => {
            (name.to_owned(), digits.parse().unwrap_or(port))
        }
        _ => (text.to_owned(), port),
    });
    let agent = head.text("user-agent").unwrap_or_default();
    let pad = (agent.contains("MSIE ") && !agent.contains("Opera")) || agent.contains("Chrome/");
    About { method: &head.method, host, port, pad, ..About::default() }
}

impl Head {
    /// Whether a cookie of this name came along.
    pub fn has_cookie(&self, name: &str) -> bool {
        self.text("cookie")
            .is_some_and(|text| text.split(';').any(|one| one.trim().split('=').next() == Some(name)))
    }
}
