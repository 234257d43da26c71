//! Passwords that are guessed first.

use std::{collections::HashSet, sync::LazyLock};

use alm_core::{
    domain::{Password, Rejected, Username},
    ports::{BackendError, PasswordPolicy},
};
use async_trait::async_trait;

/// Some 11,000 of them, from the lists of what was leaked.
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// Refuses the most common passwords, whatever their case, the name of the account, also with digits around it, and one or two
/// characters again and again (OWASP ASVS 5.0, 6.2.4 and 6.2.11). It asks for no kinds of characters.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCommonPasswords;

#[async_trait]
impl PasswordPolicy for NoCommonPasswords {
    async fn refusal(&self, password: &Password, username: &Username) -> Result<Option<Rejected>, BackendError> {
        let password = password.expose().to_lowercase();
        let bare = password.trim_matches(|c: char| c.is_ascii_digit());
        let kinds: HashSet<char> = password.chars().collect();
        let is_guessed = COMMON.contains(&*password) || bare == username.as_str().to_lowercase() || kinds.len() <= 2;
        Ok(is_guessed.then(|| Rejected {
            code: "easily-guessed",
            detail: "is easily guessed: take a longer one, of several words, say, which need not be special".to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_refused(password: &str) -> bool {
        let (password, carol) = (Password::parse(password).unwrap(), Username::parse("Carol.Miller").unwrap());
        NoCommonPasswords.refusal(&password, &carol).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn what_is_guessed_first_is_refused() {
        for password in [
            "12345678",
            "password1",
            "Password1",
            "P@ssw0rd",
            "qwertyuiop",
            "1q2w3e4r5t",
            "ILoveYou",
            "changeme",
            "carol.miller",
            "2024Carol.Miller1",
            "abababababab",
            &"x".repeat(256),
        ] {
            assert!(is_refused(password).await, "{password}");
        }
    }

    #[tokio::test]
    async fn what_is_not_may_be_of_any_characters() {
        for password in ["correct horse", "staple battery lamp", "ödipus wäscht äpfel", "5893 2207 1194", "kjqyxeiqbt"]
        {
            assert!(!is_refused(password).await, "{password}");
        }
    }

    #[test]
    fn the_list_is_sorted_in_lower_case_and_of_passwords_that_could_be_set() {
        let lines: Vec<_> =
            include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 3_000 && lines.is_sorted());
        assert!(lines.iter().all(|line| Password::parse(*line).is_ok() && line.to_lowercase() == *line));
    }
}
