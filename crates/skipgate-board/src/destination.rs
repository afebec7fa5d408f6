//! Where a board is: `ssh://[USER@]HOST[:PORT][/FOLDER]`.

use std::fmt;
use std::str::FromStr;

/// The folder on a board, in the user's home, unless one is given.
const FOLDER: &str = ".cache/skipgate";

/// A machine that `ssh` reaches, and a folder there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// `None` leaves it to ssh and its configuration.
    pub(crate) user: Option<String>,
    /// A name, also one of ssh's configuration, or an address.
    pub(crate) host: String,
    /// `None` leaves it to ssh and its configuration.
    pub(crate) port: Option<u16>,
    /// Where files are kept there, absolute or in the user's home.
    pub(crate) folder: String,
}

/// The text names no machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected ssh://[USER@]HOST[:PORT][/FOLDER], found `{found}`: {why}")]
pub struct NotADestination {
    found: String,
    why: &'static str,
}

impl FromStr for Destination {
    type Err = NotADestination;

    fn from_str(text: &str) -> Result<Self, NotADestination> {
        parse(text).map_err(|why| NotADestination { found: text.to_owned(), why })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.iter().map(|user| format!("{user}@"));
        write!(f, "{}{}", user.collect::<String>(), self.host)
    }
}

fn parse(text: &str) -> Result<Destination, &'static str> {
    let rest = text.strip_prefix("ssh://").ok_or("it does not begin with ssh://")?;
    if text.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    let (machine, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, address) = match machine.rsplit_once('@') {
        Some((user, address)) => (Some(name(user)?), address),
        None => (None, machine),
    };
    let (host, port) = host_and_port(address)?;
    Ok(Destination { user, host: name(host)?, port, folder: self::folder(folder) })
}

/// A name of a user or a machine. ssh would take one that begins with a dash for an option.
fn name(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-._:%+".contains(c);
    match text {
        "" => Err("a name is missing"),
        text if text.starts_with('-') => Err("a name begins with a dash"),
        text if !text.chars().all(is_plain) => Err("a name has a character that is in no name"),
        text => Ok(text.to_owned()),
    }
}

/// An IPv6 address stands in brackets, since it has colons of its own.
fn host_and_port(address: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or("a bracket is not closed")?;
            (host, behind.strip_prefix(':').or((!behind.is_empty()).then_some("")))
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let number =
        |port: &str| port.parse().ok().filter(|port| *port > 0).ok_or("the port is no number to 65535");
    Ok((host, port.map(number).transpose()?))
}

/// As in the URLs of git, `/~/FOLDER` is in the user's home, and any other one begins at the root.
fn folder(path: &str) -> String {
    match (path, path.strip_prefix("~/")) {
        ("" | "~" | "~/", _) => FOLDER.to_owned(),
        (_, Some(below_home)) => below_home.to_owned(),
        _ => format!("/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, String, Option<u16>, String) {
        let Destination { user, host, port, folder } = text.parse().unwrap();
        (user, host, port, folder)
    }

    #[test]
    fn all_but_the_host_may_be_left_out() {
        let plain = |host: &str| (None, host.to_owned(), None, FOLDER.to_owned());
        assert_eq!(parsed("ssh://odroid"), plain("odroid"));
        assert_eq!(parsed("ssh://odroid/"), plain("odroid"));
        assert_eq!(parsed("ssh://[fe80::1%eth0]"), plain("fe80::1%eth0"));
        let all = (Some("me".to_owned()), "10.0.0.7".to_owned(), Some(2222), "/opt/a b".to_owned());
        assert_eq!(parsed("ssh://me@10.0.0.7:2222/opt/a b"), all);
        assert_eq!(parsed("ssh://[::1]:22/~/bench").2, Some(22));
        assert_eq!(parsed("ssh://odroid/~/bench").3, "bench");
    }

    #[test]
    fn what_ssh_would_take_for_something_else_is_refused() {
        for (text, why) in [
            ("odroid", "does not begin"),
            ("ssh://", "missing"),
            ("ssh://@odroid", "missing"),
            ("ssh://-oProxyCommand=x", "dash"),
            ("ssh://-lroot@odroid", "dash"),
            ("ssh://a;b", "character"),
            ("ssh://a b", "character"),
            ("ssh://a$(b)", "character"),
            ("ssh://odroid:port", "port"),
            ("ssh://odroid:0", "port"),
            ("ssh://odroid:70000", "port"),
            ("ssh://[::1", "bracket"),
            ("ssh://[::1]22", "port"),
            ("ssh://odroid/a\nb", "control"),
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            assert!(error.why.contains(why), "{text:?}: {error}");
        }
    }
}
