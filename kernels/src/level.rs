//! Which instructions an operation may use, found at run time.

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;
use std::fmt;

/// A set of instructions that this processor has. The plain loops of [`Level::REFERENCE`] run everywhere and are what
/// the others are tested against.
///
/// There is no way to make a level that the processor lacks: holding one is the proof that its instructions may
/// be executed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Level(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Reference,
    Avx2,
    AvxVnni,
    Avx512,
    Neon,
    I8mm,
}

impl Level {
    /// Plain loops, on every processor.
    pub const REFERENCE: Level = Level(Kind::Reference);

    /// Names of all levels, available here or not.
    pub const NAMES: [&'static str; 6] = ["reference", "avx2", "avxvnni", "avx512vnni", "neon", "i8mm"];

    /// The best level of this processor.
    pub fn detect() -> Level {
        Level::available().pop().expect("because the reference is always available")
    }

    /// The levels of this processor, the reference first and the best last.
    pub fn available() -> Vec<Level> {
        [Kind::Reference, Kind::Avx2, Kind::AvxVnni, Kind::Avx512, Kind::Neon, Kind::I8mm]
            .into_iter()
            .filter(|kind| kind.is_available())
            .map(Level)
            .collect()
    }

    /// The level called `name`, or what is wrong with asking for it here.
    pub fn named(name: &str) -> Result<Level, String> {
        let known = || Level::available().iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
        if let Some(level) = Level::available().into_iter().find(|level| level.name() == name) {
            return Ok(level);
        }
        Err(match Level::NAMES.contains(&name) {
            true => format!("this processor lacks the instructions of {name}; it has {}", known()),
            false => format!("unknown instruction level {name:?}; this processor has {}", known()),
        })
    }

    /// `avx2`, `neon` and so on.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Reference => "reference",
            Kind::Avx2 => "avx2",
            Kind::AvxVnni => "avxvnni",
            Kind::Avx512 => "avx512vnni",
            Kind::Neon => "neon",
            Kind::I8mm => "i8mm",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        self.0
    }
}

impl Kind {
    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        match self {
            Kind::Reference => true,
            Kind::Avx2 => avx2,
            Kind::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
            Kind::Avx512 => {
                avx2 && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
            Kind::Neon | Kind::I8mm => false,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn is_available(self) -> bool {
        match self {
            Kind::Reference => true,
            Kind::Neon => is_aarch64_feature_detected!("dotprod"),
            Kind::I8mm => is_aarch64_feature_detected!("dotprod") && is_aarch64_feature_detected!("i8mm"),
            Kind::Avx2 | Kind::AvxVnni | Kind::Avx512 => false,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn is_available(self) -> bool {
        self == Kind::Reference
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Defines a function of a level and some arguments whose plain body is compiled once for each set of instructions, so
/// that the compiler may vectorise its loops.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name(level: $crate::Level, $($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }

            match level.kind() {
                #[cfg(target_arch = "x86_64")]
                #[expect(unsafe_code, reason = "instructions that not every processor has")]
                // SAFETY: a level exists only where its instructions do.
                $crate::level::Kind::Avx2 | $crate::level::Kind::AvxVnni => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                #[expect(unsafe_code, reason = "instructions that not every processor has")]
                // SAFETY: a level exists only where its instructions do.
                $crate::level::Kind::Avx512 => unsafe { avx512($($arg),*) },
                _ => body($($arg),*),
            }
        }
    };
}
pub(crate) use vectorised;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_found_by_its_name() {
        for level in Level::available() {
            assert_eq!(Level::named(level.name()), Ok(level));
            assert!(Level::NAMES.contains(&level.name()));
        }
    }

    #[test]
    fn a_level_that_is_missing_or_unknown_is_refused_with_the_choices() {
        let missing = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        let error = Level::named(missing).expect_err("because it is of another architecture");
        assert!(error.contains("lacks") && error.contains("reference"), "{error}");
        let error = Level::named("mmx").expect_err("because there is no such level");
        assert!(error.contains("unknown") && error.contains("reference"), "{error}");
    }
}
