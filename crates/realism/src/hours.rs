//! Work hours: a half-open window of minutes that may wrap midnight.

/// A daily window in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// First minute of the day that is in, 0 to 1439.
    pub start: u16,
    /// First minute that is out again; before `start` = the window wraps midnight, equal = always.
    pub end: u16,
}

impl Hours {
    /// Day and night.
    pub const ALWAYS: Self = Self { start: 0, end: 0 };

    /// Reads `HH:MM-HH:MM`; `None` for everything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        Some(Self { start: minute(start)?, end: minute(end)? })
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str, below: u16| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|number| digits && *number < below)
    };
    Some(two(hours, 24)? * 60 + two(minutes, 60)?)
}
