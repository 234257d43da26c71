//! Signed notes, the checkpoints in them, and the keys that they are signed with.

use std::sync::LazyLock;

use alm_core::tlog::{Checkpoint, Signer, Verifier, open};

const TEXTS: [&str; 3] = [
    "example.com/audit\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    "example.com/audit\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nan extension\n",
    "no checkpoint\n\nbut signed\n",
];

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("example.com/audit", &[7; 32]).unwrap());

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let notes = TEXTS.iter().map(|text| SIGNER.sign(text).unwrap());
    let keys = [SIGNER.verifier().to_string(), SIGNER.private_key().unwrap()];
    notes.chain(TEXTS.map(str::to_owned)).chain(keys).map(String::into_bytes).collect()
}

/// What opens is what was signed; a checkpoint and a key have one text each.
pub(super) fn note(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let known = [SIGNER.verifier().clone()];
    if let Ok(opened) = open(text, &known) {
        assert!(TEXTS.contains(&opened), "{opened:?} was never signed");
    }
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
        let note = SIGNER.sign(text).unwrap();
        assert_eq!(open(&note, &known), Ok(text));
    } else if let Ok(note) = SIGNER.sign(text) {
        assert_eq!(open(&note, &known), Ok(text));
    }
    if let Ok(verifier) = text.parse::<Verifier>() {
        assert_eq!(verifier.to_string(), text);
    }
    if let Ok(signer) = text.parse::<Signer>() {
        assert_eq!(signer.private_key().unwrap(), text);
    }
}
