//! What can go wrong, in the few words that a host acts on.

use mls_rs::error::MlsError;

pub type Outcome<T> = Result<T, Failure>;

/// The kinds of failure; the number is the first byte of an answer (0 is success).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The message belongs to an epoch that is over.
    StaleEpoch = 1,
    /// The message belongs to an epoch that this device has not reached: commits are missing.
    FutureEpoch = 2,
    /// No such group here, or the message is for another one.
    UnknownGroup = 3,
    /// This device was removed from the group.
    NotMember = 4,
    /// The message, key or state is not valid.
    BadMessage = 5,
    /// A newcomer's commit does not carry the secret of the link, or this device does not know that secret.
    NoLink = 6,
    /// The call itself is wrong: a fault of the program.
    BadCall = 7,
}

/// A failure: its kind and a sentence for the log, never secret material.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    pub text: String,
}

impl Failure {
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub fn call(text: &str) -> Self {
        Self::new(Kind::BadCall, text)
    }
}

impl From<MlsError> for Failure {
    fn from(error: MlsError) -> Self {
        let kind = match &error {
            MlsError::InvalidEpoch => Kind::StaleEpoch,
            MlsError::GroupNotFound | MlsError::GroupIdMismatch => Kind::UnknownGroup,
            MlsError::MissingRequiredPsk => Kind::NoLink,
            MlsError::ExistingPendingCommit | MlsError::PendingCommitNotFound => Kind::BadCall,
            _ => Kind::BadMessage,
        };
        Self::new(kind, format!("{error:?}"))
    }
}

impl From<mls_rs::mls_rs_codec::Error> for Failure {
    fn from(error: mls_rs::mls_rs_codec::Error) -> Self {
        Self::new(Kind::BadMessage, format!("{error:?}"))
    }
}
