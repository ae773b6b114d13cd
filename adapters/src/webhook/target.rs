//! The address of a hook as it was given.

use std::net::IpAddr;

use hyper::Uri;

use super::guard::{Reach, reach};

/// Bytes of an address, at most.
pub const URL_BYTES_MAX: usize = 2_048;

/// An address that something can be delivered to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    pub(super) is_https: bool,
    /// The host as it stands in the address, for the header `Host`; with its port if it has one.
    pub(super) authority: String,
    /// A name, or an IP address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) allow_local: bool,
}

/// Why an address is refused. Each sentence says what to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// It is none.
    #[error("that is no address: write it like https://host/path, with what is not ASCII encoded")]
    Malformed,
    /// It has too many bytes.
    #[error("the address is too long: {URL_BYTES_MAX} bytes, at most")]
    TooLong,
    /// It is of another kind.
    #[error("only https:// and http:// addresses can be delivered to")]
    Scheme,
    /// It has a user or a password in it.
    #[error(
        "the address has credentials in it, which lists and logs would show: leave them out, and \
         check the signature instead"
    )]
    Credentials,
    /// It has a part that is never sent.
    #[error("the address has a part behind #, which is never sent: leave it out")]
    Fragment,
    /// The port is none.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// An IP address is not written as usual.
    #[error(
        "write the IP address as four numbers with points between them, or in brackets for IPv6"
    )]
    NumericHost,
    /// It leads to this machine or its network.
    #[error("the address is in this machine or its network, where only --allow-local delivers to")]
    Local,
    /// It leads where nothing is ever delivered to.
    #[error("nothing is ever delivered to that address")]
    Never,
}

impl Target {
    /// Reads an address. One with a name in it is looked at again with each attempt, when it is known
    /// what the name stands for.
    ///
    /// # Errors
    ///
    /// [`TargetError`].
    pub fn parse(url: &str, allow_local: bool) -> Result<Self, TargetError> {
        if url.len() > URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        if url.contains('#') {
            return Err(TargetError::Fragment);
        }
        // Of all others some parsers make a slash.
        if url.contains(['\\', '\t', '\n', '\r', ' ']) {
            return Err(TargetError::Malformed);
        }
        let uri: Uri = url.parse().map_err(|_malformed| TargetError::Malformed)?;
        let is_https = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            Some(_) => return Err(TargetError::Scheme),
            None => return Err(TargetError::Malformed),
        };
        let authority = uri.authority().ok_or(TargetError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::Credentials);
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => {
                digits.parse().ok().filter(|port| *port != 0).ok_or(TargetError::Port)?
            }
            Some(_) | None => default_port(is_https),
        };
        check_host(host, allow_local)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            is_https,
            authority: authority.as_str().to_owned(),
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            allow_local,
        })
    }
}

const fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

/// Refuses at once what no name service has to be asked for.
fn check_host(host: &str, allow_local: bool) -> Result<(), TargetError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return match reach(address) {
            Reach::Public => Ok(()),
            Reach::Local if allow_local => Ok(()),
            Reach::Local => Err(TargetError::Local),
            Reach::Never => Err(TargetError::Never),
        };
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    // Some systems take 0x7f.1 or 2130706433 for an IP address, and nobody needs to write one so.
    let is_number = last.starts_with("0x")
        || last.starts_with("0X")
        || !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return Err(TargetError::NumericHost);
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if last.is_empty() || !is_name { Err(TargetError::Malformed) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{Target, TargetError};

    #[test]
    fn addresses_are_read_as_they_are_meant() {
        for (url, host, port, path) in [
            ("https://example.com", "example.com", 443, "/"),
            ("HTTPS://example.com/a?b=c", "example.com", 443, "/a?b=c"),
            ("http://example.com:8080/", "example.com", 8080, "/"),
            ("https://[2606:4700::1111]/x", "2606:4700::1111", 443, "/x"),
            ("http://[2606:4700::1111]:81/x", "2606:4700::1111", 81, "/x"),
            ("https://1.1.1.1/x", "1.1.1.1", 443, "/x"),
        ] {
            let target = Target::parse(url, false).unwrap();
            assert_eq!((&*target.host, target.port, &*target.path), (host, port, path), "{url}");
        }
    }

    #[test]
    fn what_leads_inside_is_refused_however_it_is_written() {
        for (url, expected) in [
            ("http://127.0.0.1/", TargetError::Local),
            ("http://127.0.0.1:8080/", TargetError::Local),
            ("http://[::1]/", TargetError::Local),
            ("http://[0:0:0:0:0:0:0:1]/", TargetError::Local),
            ("http://[::ffff:127.0.0.1]/", TargetError::Local),
            ("http://[::ffff:7f00:1]/", TargetError::Local),
            ("http://[64:ff9b::10.0.0.1]/", TargetError::Local),
            ("http://[fe80::1]/", TargetError::Local),
            ("http://10.1.2.3/", TargetError::Local),
            ("http://192.168.0.1/", TargetError::Local),
            ("http://169.254.169.254/latest/meta-data", TargetError::Never),
            ("http://[::ffff:a9fe:a9fe]/", TargetError::Never),
            ("http://0.0.0.0/", TargetError::Never),
            ("http://[::]/", TargetError::Never),
            ("http://2130706433/", TargetError::NumericHost),
            ("http://0x7f000001/", TargetError::NumericHost),
            ("http://0x7f.0.0.0x1/", TargetError::NumericHost),
            ("http://0177.0.0.1/", TargetError::NumericHost),
            ("http://127.1/", TargetError::NumericHost),
            ("http://127.0.0.1./", TargetError::NumericHost),
            ("http://1.2.3.4.5/", TargetError::NumericHost),
            ("http://user@example.com/", TargetError::Credentials),
            ("http://user:password@example.com/", TargetError::Credentials),
            ("http://example.com:80@127.0.0.1/", TargetError::Credentials),
            ("ftp://example.com/", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::Malformed),
            ("example.com/x", TargetError::Malformed),
            ("https://", TargetError::Malformed),
            ("https:///path", TargetError::Malformed),
            ("https://./", TargetError::Malformed),
            ("https://exämple.com/", TargetError::Malformed),
            ("https://example.com\\@127.0.0.1/", TargetError::Malformed),
            ("https://example.com/a b", TargetError::Malformed),
            ("https://exa%6dple.com/", TargetError::Malformed),
            ("https://[fe80::1%25eth0]/", TargetError::Malformed),
            ("https://example.com/#x", TargetError::Fragment),
            ("https://example.com:0/", TargetError::Port),
            ("https://example.com:65536/", TargetError::Port),
            ("https://example.com:/", TargetError::Port),
        ] {
            assert_eq!(Target::parse(url, false), Err(expected), "{url}");
        }
    }

    #[test]
    fn who_allows_it_reaches_his_own_network_and_nothing_worse() {
        assert!(Target::parse("http://127.0.0.1:8080/x", true).is_ok());
        assert!(Target::parse("http://[fd12::1]/x", true).is_ok());
        let metadata = Target::parse("http://169.254.169.254/", true);
        assert_eq!(metadata, Err(TargetError::Never));
    }
}
