//! Where things lie in the tables of an engine. Each table has slots of a type of its own, so that none can be looked up
//! in another's.

/// A place in a table.
pub(crate) trait Slot: Copy {
    /// The slot with this number.
    fn at(index: u32) -> Self;
    /// Its number.
    fn index(self) -> usize;
}

macro_rules! slots {
    ($($(#[$words:meta])* $name:ident;)*) => {$(
        $(#[$words])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl Slot for $name {
            fn at(index: u32) -> Self {
                Self(index)
            }

            #[inline]
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

slots! {
    /// Of a transport.
    TransportSlot;
    /// Of a track.
    TrackSlot;
    /// Of an inbound stream.
    StreamSlot;
    /// Of a subscription.
    ForwarderSlot;
}

impl TransportSlot {
    /// For whoever sorts by it.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}
