//! Well-known applications that a decky may pretend to run instead of the company site (`fake_app`).
//!
//! Only their doors are built: landing page and sign-in form. What is typed there is captured by `creds`.

use decnet_core::Seed;

use super::errors::escape;

/// Applications that can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// Debian's "It works!".
    ApacheDefault,
    /// "Welcome to nginx!".
    NginxDefault,
    /// `WordPress`: blog and `wp-login.php`.
    WordPress,
    /// `phpMyAdmin`'s sign-in.
    PhpMyAdmin,
    /// The blue page of IIS.
    IisDefault,
}

impl App {
    /// The application of a setting.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "apache_default" => Self::ApacheDefault,
            "nginx_default" => Self::NginxDefault,
            "wordpress" => Self::WordPress,
            "phpmyadmin" => Self::PhpMyAdmin,
            "iis_default" => Self::IisDefault,
            _ => return None,
        })
    }

    /// All names, for messages.
    pub const NAMES: &'static str = "apache_default, nginx_default, wordpress, phpmyadmin, iis_default";

    /// The page at a path; `posted` is the principal of a sign-in that has just failed.
    pub fn page(self, seed: &Seed, company: &str, path: &str, posted: Option<&str>) -> Option<AppPage> {
        let index = matches!(path, "/" | "/index.html" | "/index.php");
        match self {
            Self::ApacheDefault => index.then(|| AppPage::fixed(APACHE)),
            Self::NginxDefault => index.then(|| AppPage::fixed(NGINX)),
            Self::IisDefault => (index || path == "/iisstart.htm").then(|| AppPage::fixed(IIS)),
            Self::WordPress => wordpress(seed, company, path, posted),
            Self::PhpMyAdmin => phpmyadmin(seed, path, posted),
        }
    }
}

/// A page of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppPage {
    /// A file.
    File(String),
    /// A script's output with its headers.
    Script(String, Vec<(&'static str, String)>),
    /// A redirect to this path.
    Redirect(String),
}

impl AppPage {
    fn fixed(text: &str) -> Self {
        Self::File(text.to_owned())
    }
}

const NGINX: &str = "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n<style>\nhtml { color-scheme: light dark; }\nbody { width: 35em; margin: 0 auto;\nfont-family: Tahoma, Verdana, Arial, sans-serif; }\n</style>\n</head>\n<body>\n<h1>Welcome to nginx!</h1>\n<p>If you see this page, the nginx web server is successfully installed and\nworking. Further configuration is required.</p>\n\n<p>For online documentation and support please refer to\n<a href=\"http://nginx.org/\">nginx.org</a>.<br/>\nCommercial support is available at\n<a href=\"http://nginx.com/\">nginx.com</a>.</p>\n\n<p><em>Thank you for using nginx.</em></p>\n</body>\n</html>\n";
const APACHE: &str = "<html><body><h1>It works!</h1>\n<p>This is the default web page for this server.</p>\n<p>The web server software is running but no content has been added, yet.</p>\n</body></html>\n";
const IIS: &str = "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\n<html xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=iso-8859-1\" />\n<title>IIS Windows Server</title>\n</head>\n<body>\n<div id=\"container\">\n<a href=\"http://go.microsoft.com/fwlink/?linkid=66138&amp;clcid=0x409\"><img src=\"iisstart.png\" alt=\"IIS\" width=\"960\" height=\"600\" /></a>\n</div>\n</body>\n</html>";

fn wordpress(seed: &Seed, company: &str, path: &str, posted: Option<&str>) -> Option<AppPage> {
    let version = seed.child("wordpress").pick(&["6.4.3", "6.5.5", "6.6.2", "6.1.1", "5.9.9"]).copied()?;
    let company = escape(company);
    match path {
        "/" | "/index.php" => Some(AppPage::Script(
            format!(
                "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head>\n<meta charset=\"UTF-8\" />\n<title>{company}</title>\n<meta name=\"generator\" content=\"WordPress {version}\" />\n<link rel=\"https://api.w.org/\" href=\"/wp-json/\" />\n</head>\n<body class=\"home blog\">\n<header><h1 class=\"site-title\"><a href=\"/\">{company}</a></h1></header>\n<main><article class=\"post\"><h2>Hello world!</h2><p>Welcome to WordPress. This is your first post. Edit or delete it, then start writing!</p></article></main>\n<footer><a href=\"/wp-login.php\">Log in</a></footer>\n</body>\n</html>\n"
            ),
            vec![("Link", "</wp-json/>; rel=\"https://api.w.org/\"".to_owned())],
        )),
        "/wp-login.php" => {
            let error = posted.map(|name| format!("<div id=\"login_error\" class=\"notice notice-error\"><p><strong>Error:</strong> The password you entered for the username <strong>{}</strong> is incorrect. <a href=\"/wp-login.php?action=lostpassword\">Lost your password?</a></p></div>\n", escape(name))).unwrap_or_default();
            Some(AppPage::Script(
                format!(
                    "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n<title>Log In &lsaquo; {company} &#8212; WordPress</title>\n<meta name='robots' content='max-image-preview:large, noindex, noarchive' />\n<link rel='stylesheet' id='login-css' href='/wp-admin/css/login.min.css?ver={version}' media='all' />\n</head>\n<body class=\"login no-js login-action-login wp-core-ui  locale-en-us\">\n<div id=\"login\">\n<h1><a href=\"https://wordpress.org/\">Powered by WordPress</a></h1>\n{error}<form name=\"loginform\" id=\"loginform\" action=\"/wp-login.php\" method=\"post\">\n<p><label for=\"user_login\">Username or Email Address</label>\n<input type=\"text\" name=\"log\" id=\"user_login\" class=\"input\" value=\"\" size=\"20\" autocapitalize=\"off\" autocomplete=\"username\" required=\"required\" /></p>\n<p><label for=\"user_pass\">Password</label>\n<input type=\"password\" name=\"pwd\" id=\"user_pass\" class=\"input password-input\" value=\"\" size=\"20\" autocomplete=\"current-password\" required=\"required\" /></p>\n<p class=\"submit\"><input type=\"submit\" name=\"wp-submit\" id=\"wp-submit\" class=\"button button-primary button-large\" value=\"Log In\" />\n<input type=\"hidden\" name=\"redirect_to\" value=\"/wp-admin/\" /><input type=\"hidden\" name=\"testcookie\" value=\"1\" /></p>\n</form>\n</div>\n</body>\n</html>\n"
                ),
                vec![
                    ("Expires", "Wed, 11 Jan 1984 05:00:00 GMT".to_owned()),
                    ("Cache-Control", "no-cache, must-revalidate, max-age=0".to_owned()),
                    ("Set-Cookie", "wordpress_test_cookie=WP%20Cookie%20check; path=/".to_owned()),
                    ("X-Frame-Options", "SAMEORIGIN".to_owned()),
                ],
            ))
        }
        "/wp-admin" | "/wp-admin/" => {
            Some(AppPage::Redirect("/wp-login.php?redirect_to=%2Fwp-admin%2F&reauth=1".to_owned()))
        }
        "/readme.html" => Some(AppPage::File(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>WordPress &#8250; ReadMe</title></head>\n<body>\n<h1 id=\"logo\">WordPress</h1>\n<p>Version {version}</p>\n<p>Semantic Personal Publishing Platform</p>\n</body>\n</html>\n"
        ))),
        _ => None,
    }
}

fn phpmyadmin(seed: &Seed, path: &str, posted: Option<&str>) -> Option<AppPage> {
    let folder = ["/phpmyadmin", "/phpMyAdmin", "/pma"]
        .into_iter()
        .find(|folder| path.starts_with(folder))
        .unwrap_or("");
    let rest = path.get(folder.len()..)?;
    if rest.is_empty() && !folder.is_empty() {
        return Some(AppPage::Redirect(format!("{folder}/")));
    }
    if !matches!(rest, "/" | "/index.php") {
        return None;
    }
    let version = seed.child("phpmyadmin").pick(&["5.2.1", "5.1.1", "4.9.5", "5.0.4"]).copied()?;
    let error = posted.map(|name| format!("<div class=\"alert alert-danger\" role=\"alert\">mysqli::real_connect(): (HY000/1045): Access denied for user '{}'@'localhost' (using password: YES)</div>\n", escape(name))).unwrap_or_default();
    Some(AppPage::Script(
        format!(
            "<!doctype html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"robots\" content=\"noindex,nofollow,notranslate\">\n<title>phpMyAdmin</title>\n<link rel=\"stylesheet\" type=\"text/css\" href=\"./themes/pmahomme/css/theme.css?v={version}\">\n</head>\n<body id=\"loginform\">\n<div class=\"container\">\n<h1>Welcome to <bdo dir=\"ltr\" lang=\"en\">phpMyAdmin</bdo></h1>\n{error}<form method=\"post\" id=\"login_form\" action=\"index.php?route=/\" name=\"login_form\" class=\"disableAjax hide js-show\">\n<label for=\"input_username\">Username:</label><input type=\"text\" name=\"pma_username\" id=\"input_username\" value=\"\" autocomplete=\"username\">\n<label for=\"input_password\">Password:</label><input type=\"password\" name=\"pma_password\" id=\"input_password\" value=\"\" autocomplete=\"current-password\">\n<input type=\"hidden\" name=\"server\" value=\"1\">\n<input class=\"btn btn-primary\" value=\"Log in\" type=\"submit\" id=\"input_go\">\n</form>\n</div>\n</body>\n</html>\n"
        ),
        vec![
            ("Expires", "Thu, 19 Nov 1981 08:52:00 GMT".to_owned()),
            (
                "Cache-Control",
                "no-store, no-cache, must-revalidate,  pre-check=0, post-check=0, max-age=0".to_owned(),
            ),
            ("X-Frame-Options", "DENY".to_owned()),
            ("X-Robots-Tag", "noindex, nofollow".to_owned()),
            ("Pragma", "no-cache".to_owned()),
        ],
    ))
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    #[test]
    fn doors_open_and_echo_nothing_raw() {
        let seed = FleetSecret::from_number(1).seed();
        for (app, path) in [("wordpress", "/wp-login.php"), ("phpmyadmin", "/phpmyadmin/index.php")] {
            let Some(AppPage::Script(text, _)) =
                App::parse(app).unwrap().page(&seed, "C", path, Some("<script>"))
            else {
                panic!("{app}")
            };
            assert!(text.contains("&lt;script&gt;") && !text.contains("<script>"));
        }
        for name in App::NAMES.split(", ") {
            assert!(App::parse(name).unwrap().page(&seed, "C", "/", None).is_some(), "{name}");
            assert_eq!(App::parse(name).unwrap().page(&seed, "C", "/nope", None), None);
        }
    }
}
