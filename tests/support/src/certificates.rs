//! An authority of the tests' own, and certificates from it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::postgres::run;

/// A folder with `ca.pem` and what it has certified.
pub struct Authority(TempDir);

impl Authority {
    /// One that no one knows. All have the same name.
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Self(folder);
        authority.openssl(&["req", "-x509", "-out", "ca.pem", "-days", "2"], "ca", "/CN=an authority of the tests");
        authority
    }

    /// A certificate for `common_name` and, if it is for a server, for `subject_alternative_name`; gives its file and that of
    /// its key.
    pub fn certify(&self, name: &str, common_name: &str, subject_alternative_name: &str) -> (PathBuf, PathBuf) {
        self.openssl(&["req", "-out", &format!("{name}.csr")], name, &format!("/CN={common_name}"));
        fs::write(self.file("extensions"), format!("subjectAltName={subject_alternative_name}\n")).unwrap();
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", "2", "-CAcreateserial", "-CA"]).arg(self.ca());
        sign.arg("-CAkey").arg(self.file("ca.key")).arg("-extfile").arg(self.file("extensions"));
        let certificate = self.file(&format!("{name}.pem"));
        run(sign.arg("-in").arg(self.file(&format!("{name}.csr"))).arg("-out").arg(&certificate));
        (certificate, self.file(&format!("{name}.key")))
    }

    /// The file of its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a key of that name, and what else `arguments` ask for with it.
    fn openssl(&self, arguments: &[&str], key: &str, subject: &str) {
        let mut command = Command::new("openssl");
        let [verb, rest @ ..] = arguments else { unreachable!() };
        command.arg(verb).args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        command.args(["-subj", subject, "-keyout"]).arg(self.file(&format!("{key}.key")));
        for argument in rest {
            match argument.rsplit_once('.') {
                Some(_) => command.arg(self.file(argument)),
                None => command.arg(argument),
            };
        }
        run(&mut command);
    }
}

/// The settings of a server that takes TCP at `address` in TLS alone, with a certificate for `name`. It trusts the user
/// `alm`, asks `certified` for a certificate that `authority` has made, and others for a password. The files go to its `folder`.
pub fn tls_settings(folder: &Path, address: &str, authority: &Authority, name: &str) -> Vec<String> {
    let (certificate, key) = authority.certify("server", "a server", name);
    for (from, to) in [(certificate, "server.pem"), (key, "server.key"), (authority.ca(), "ca.pem")] {
        fs::copy(from, folder.join(to)).unwrap();
    }
    let rules = "local all all trust\nhostssl all certified all cert\nhostssl all alm all trust\n\
                 hostssl all all all scram-sha-256\n";
    fs::write(folder.join("hba.conf"), rules).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("listen_addresses={address}"),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", file("server.pem")),
        format!("ssl_key_file={}", file("server.key")),
        format!("ssl_ca_file={}", file("ca.pem")),
        format!("hba_file={}", file("hba.conf")),
    ]
}
