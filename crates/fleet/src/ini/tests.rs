//! What files mean, and that every error of a file is reported at once with its section and line.

use decnet_core::DeckyName;
use proptest::prelude::*;

use super::*;
use crate::spec::ServiceChoice;

fn errors(text: &str) -> String {
    parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_whole_file() {
    let text = "\
[general]
net = 10.20.0.0/24
gw = 10.20.0.1
interface = eth0
mutate-interval = 45

; two groups and a loner
[Web]
archetype = web-server
amount = 2
nmap_os = linux
[web.http]
fake_app = wordpress
[web-02.http]
server_header = nginx/1.24.0
[web-extra]
services = SSH, http , ssh
[web-extra.ssh]
password = hunter2
[cache]
ip = 10.20.0.77
services = redis,mine
mutate_interval = 5
[custom-mine]
binary = registry/mine:1
exec = /bin/mine -v
ports = 8080, 9090
";
    let spec = parse(text.replace('\n', "\r\n").as_bytes()).unwrap();
    assert_eq!(spec.subnet, Some("10.20.0.0/24".parse().unwrap()));
    assert_eq!(spec.gateway, Some([10, 20, 0, 1].into()));
    assert_eq!((spec.interface.as_deref(), spec.mutate_interval), (Some("eth0"), Some(Some(45))));
    let names: Vec<&str> = spec.deckies.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["web-01", "web-02", "web-extra", "cache"]);
    let http = |i: usize| spec.deckies[i].service_config["http"].clone();
    assert_eq!(http(0), [("fake_app".into(), "wordpress".into())].into());
    assert_eq!(http(1).len(), 2, "the group's settings and its own");
    // No bleeding over the common prefix: the loner is no member of the group.
    assert!(!spec.deckies[2].service_config.contains_key("http"));
    assert_eq!(spec.deckies[2].services, ServiceChoice::Listed(vec!["ssh".into(), "http".into()]));
    assert_eq!(spec.deckies[0].services, ServiceChoice::Open);
    assert_eq!(spec.deckies[3].ip, Some([10, 20, 0, 77].into()));
    assert_eq!(spec.deckies[3].mutate_interval, Some(5));
    assert_eq!(spec.custom_services[0].ports, [8080, 9090]);
    assert_eq!(spec.custom_services[0].command, ["/bin/mine", "-v"]);
    assert_eq!(spec.warnings, Vec::<String>::new());
}

/// The golden list of bad input: one file, every kind of mistake, every one named.
#[test]
fn all_errors_in_one_go() {
    let text = "\
orphan = 1
[general]
net = 192.168.7.0/24
gw = 192.168.8.1
dns = 1.1.1.1
interface = a name far too long
mutate_interval = 0
[a.b]
ip = 192.168.7.10
[web.gopher]
[UPPER_case]
[one]
ip = 192.168.9.10
services = ssh, gopher, smb
colour = red
[two]
ip = 192.168.7.255
[three]
ip = 192.168.7.0
[four]
ip = 192.168.7.10
[five]
ip = fe80::1
amount = 101
[six]
ip = 192.168.7.66
amount = 3
[seven]
amount = 2
[seven-02]
[EIGHT]
services = ,
[eight]
archetype = toaster
[nine]
archetype = printer
ip = 192.168.7.67
ip = 192.168.7.68
[nine.http]
response_code = often
[custom-ssh]
binary = x
[custom-ok]
ports = 0
what is this
[DEFAULT]
[ten
";
    insta::assert_snapshot!(errors(text));
}

#[test]
fn addresses_are_checked_without_a_subnet_too() {
    insta::assert_snapshot!(errors(
        "[a]\nip=0.0.0.1\n[b]\nip=224.0.0.1\n[c]\nip=255.255.255.255\n[d]\nip=127.0.0.1\n"
    ));
    assert!(parse(b"[a]\nip=127.0.0.9\n[general]\nnet=127.0.0.0/24\n").is_ok());
    let gateway = errors("[a]\nip=10.0.0.1\n[general]\nnet=10.0.0.7/24\ngw=10.0.0.1");
    assert_eq!(gateway, "line 2 [a]: address 10.0.0.1 is reserved: it is the gateway's");
}

#[test]
fn subnets_may_be_written_with_a_mask_and_host_bits() {
    let net = |value: &str| parse(format!("[general]\nnet={value}\n[a]\n").as_bytes()).map(|s| s.subnet);
    let expected = Ok(Some("10.1.2.0/24".parse().unwrap()));
    assert_eq!(net("10.1.2.3/24"), expected);
    assert_eq!(net("10.1.2.0/255.255.255.0"), expected);
    for bad in
        ["10.1.2.0", "10.1.2.0/31", "10.1.2.0/33", "10.0.0.0/7", "fe80::/64", "x/24", "10.1.2.0/255.0.255.0"]
    {
        assert!(net(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_ignored_is_said() {
    let spec =
        parse(b"[a]\nservices=ssh\nnmap_os=BeOS\n[a.ssh]\ncolour=red\n[ghost.ssh]\npassword=x\n").unwrap();
    insta::assert_snapshot!(spec.warnings.join("\n"));
    assert!(spec.deckies[0].service_config.is_empty());
    let windows = parse(b"[a]\nnmap_os=Windows 10\n").unwrap();
    assert_eq!(windows.deckies[0].nmap_os.as_deref(), Some("windows"));
    assert!(windows.warnings.is_empty());
}

#[test]
fn files_that_are_no_ini() {
    assert_eq!(errors(""), "line 1: no decky: add a section such as [web-01]");
    assert_eq!(errors("[general]\nnet=10.0.0.0/24\n"), "line 1: no decky: add a section such as [web-01]");
    let bytes = parse(b"[a]\nservices=\xff\n").unwrap_err().to_string();
    assert_eq!(bytes, "line 2: byte 13 is no UTF-8: save the file as UTF-8");
    let large = parse(&vec![b'#'; MAX_BYTES + 1]).unwrap_err().to_string();
    assert!(large.starts_with("line 1: the file has 524289 bytes and at most 524288 are read"), "{large}");
    assert!(parse(format!("[a]\n#{}", "x".repeat(MAX_BYTES - 5)).as_bytes()).is_ok());
}

#[test]
fn controls_of_the_file_do_not_reach_the_terminal() {
    let text = errors("[a\u{1b}[31m]\nk\u{7}=v\n");
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
}

#[test]
fn neither_deckies_nor_errors_grow_without_bound() {
    let many: Vec<String> = (0..60).map(|i| format!("[g{i}]\namount=100\n")).collect();
    assert_eq!(
        errors(&many.concat()),
        "line 21 [g10]: more than 1000 deckies up to here: split the deployment"
    );
    let bad: Vec<String> = (0..5000).map(|i| format!("k{i}=1\n")).collect();
    let found = parse(bad.concat().as_bytes()).unwrap_err();
    assert_eq!((found.errors.len(), found.more), (200, 4801));
}

#[test]
fn the_longest_names_leave_room_for_the_number() {
    let name = "x".repeat(61);
    assert!(errors(&format!("[{name}]\namount=2\n")).contains("is no decky name"));
    let spec = parse(format!("[{}]\namount=2\n", "x".repeat(60)).as_bytes()).unwrap();
    assert_eq!(spec.deckies[1].name, DeckyName::parse(&format!("{}-02", "x".repeat(60))).unwrap());
}

#[test]
fn services_that_want_one_port() {
    // Nothing that is built clashes today; the check itself is tested in the catalogue.
    assert!(parse(b"[a]\nservices=ssh,http,imap,redis\n").is_ok());
}

/// Lines as an operator or an attacker of the API might write them.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        r"\[[a-z0-9.-]{0,12}\]?",
        r"(ip|amount|services|archetype|net|gw|nmap-os|binary|ports)[=: ]{1,2}[a-z0-9./,:-]{0,20}",
        r"\PC{0,30}",
        r"[ \t]{0,4}\PC{0,10}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_result(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_lines_end_in_a_sound_spec_or_in_positions(
        lines in proptest::collection::vec(line(), 0..40),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
    ) {
        let text = lines.join(end);
        match parse(text.as_bytes()) {
            Ok(spec) => {
                let mut names: Vec<_> = spec.deckies.iter().map(|d| &d.name).collect();
                names.sort();
                names.dedup();
                prop_assert_eq!(names.len(), spec.deckies.len());
                let addresses = spec.explicit_addresses().collect::<std::collections::HashSet<_>>();
                prop_assert_eq!(addresses.len(), spec.explicit_addresses().count());
                if let Some(net) = spec.subnet {
                    prop_assert!(spec.deckies.iter().filter_map(|d| d.ip).all(|ip| net.contains(&ip)));
                }
            }
            Err(found) => {
                prop_assert!(!found.errors.is_empty());
                let last = text.split(['\n', '\r']).count();
                for error in &found.errors {
                    prop_assert!((1..=last).contains(&error.line), "{}", error);
                    prop_assert!(!error.to_string().contains(char::is_control), "{:?}", error.to_string());
                }
            }
        }
    }
}
