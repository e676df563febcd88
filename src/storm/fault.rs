//! What can go wrong with a machine. Only what the machine does or leaves undone stands here; what the head should make of it is for whoever lets it loose.

macro_rules! faults {
    ($($variant:ident = $name:literal, $lasts:literal, $what:literal;)+) => {
        /// What goes wrong with a machine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $what] $variant,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// True if it befalls every attempt, false if only the first.
            pub const fn lasts(self) -> bool {
                match self { $(Self::$variant => $lasts),+ }
            }
        }
    };
}

faults! {
    NoPower = "no power", true, "It is switched on and does nothing.";
    LinkLostDhcp = "link lost in DHCP", false, "Its firmware is given an address, and the link is lost.";
    LinkLostTftp = "link lost in TFTP", false, "The link is lost while the loader is fetched.";
    LoaderLoops = "loader loops", true, "Its loader asks for the script, cannot load the kernel, and begins anew, again and again.";
    KernelPanics = "kernel panics", false, "It loads the kernel and is silent.";
    MirrorBusy = "mirror 503", false, "The mirror answers 503 for longer than its installer is patient.";
    PackageMissing = "package missing", true, "Its installer does not find a package.";
    NoDisk = "no disk", true, "It has only a disk that nothing may be installed on, and that is blank.";
    NoDiskButSystem = "no disk, a system", true, "It has a disk that is too small for what is ordered, with a system on it.";
    GateNeverAsked = "gate never asked", true, "Its installer lives and never comes to the write gate.";
    Killed = "killed", false, "It dies in the middle of the installation.";
    Hangs = "hangs", true, "It hangs in the middle of the installation.";
    EarlyReboot = "early reboot", true, "Its installer restarts it before the write gate.";
    LostDone = "lost done", false, "The end of the installation is not told.";
    HomeLost = "call home lost", true, "The installed system never calls home.";
    HomeTwice = "call home lost, then twice", false, "The first ten calls home are lost, the next two arrive.";
    HomeLate = "call home late", false, "The installed system calls home long after the head has lost patience.";
    Twice = "everything twice", false, "Every datagram and every report reaches the head twice.";
    Stale = "stale reports", false, "It dies once, and in its next attempt the reports of the first arrive.";
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
