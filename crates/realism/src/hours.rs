//! Work hours: a half-open window of minutes that may wrap midnight, and when somebody is in.
//!
//! An instant is judged by the local minute alone, daylight saving included; a window that wraps midnight belongs to the day
//! it starts on. Days off have the same window: people are in then too, only seldom.

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
    Weekday,
};
use chrono_tz::Tz;

use crate::Persona;

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

    /// Whether every minute is in.
    pub const fn is_always(self) -> bool {
        self.start == self.end
    }

    /// Whether a minute of the day is in.
    pub const fn contains(self, minute: u16) -> bool {
        if self.start < self.end {
            minute >= self.start && minute < self.end
        } else {
            self.start == self.end || minute >= self.start || minute < self.end
        }
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

/// Whether somebody is in at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attendance {
    /// Outside his hours.
    Out,
    /// Inside them, on a day of work.
    Work,
    /// Inside them, on a day off.
    Off,
}

/// One occurrence of the daily window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First instant that is in.
    pub start: DateTime<Utc>,
    /// First instant that is out again.
    pub end: DateTime<Utc>,
    /// Whether the day that it starts on is one of work.
    pub work: bool,
}

/// Somebody's hours, days and zone, ready to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    zone: Tz,
    hours: Hours,
    /// Bit 0 is Monday.
    days: u8,
}

impl Presence {
    /// That of a persona.
    pub fn of(persona: &Persona) -> Self {
        let days = persona.work_days.iter().fold(0, |days, day| days | bit(*day));
        Self { zone: persona.tz(), hours: persona.hours(), days }
    }

    /// His zone.
    pub const fn zone(self) -> Tz {
        self.zone
    }

    /// His hours.
    pub const fn hours(self) -> Hours {
        self.hours
    }

    /// How many days of the week he works.
    pub const fn days_of_work(self) -> u32 {
        self.days.count_ones()
    }

    /// Whether the instant is inside the window, on whichever day.
    pub fn is_in(self, at: DateTime<Utc>) -> bool {
        self.hours.is_always() || self.hours.contains(minute_of(at.with_timezone(&self.zone).time()))
    }

    /// Whether he is in, and on what kind of day.
    pub fn at(self, at: DateTime<Utc>) -> Attendance {
        let local = at.with_timezone(&self.zone);
        let minute = minute_of(local.time());
        if !self.hours.contains(minute) {
            return Attendance::Out;
        }
        if self.works(self.start_day(local.date_naive(), minute)) {
            Attendance::Work
        } else {
            Attendance::Off
        }
    }

    /// The window that holds the instant.
    pub fn window_at(self, at: DateTime<Utc>) -> Option<Window> {
        let local = at.with_timezone(&self.zone);
        let minute = minute_of(local.time());
        if !self.hours.contains(minute) {
            return None;
        }
        let window = self.window_of(self.start_day(local.date_naive(), minute))?;
        (window.start <= at && at < window.end).then_some(window)
    }

    /// The windows that overlap `[from, to)`, in order.
    pub fn windows(self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = Window> + use<> {
        let presence = self;
        let first = from.with_timezone(&self.zone).date_naive() - Days::new(1);
        let last = to.with_timezone(&self.zone).date_naive();
        first
            .iter_days()
            .take_while(move |day| *day <= last)
            .filter_map(move |day| presence.window_of(day))
            .filter(move |window| window.start < to && window.end > from)
    }

    /// The window that starts on a local day. In the hour that a clock repeats it is the shorter reading, so that all of it
    /// is inside whichever way it is read.
    fn window_of(self, day: NaiveDate) -> Option<Window> {
        let Hours { start, end } = self.hours;
        let next = if start < end { day } else { day.checked_add_days(Days::new(1))? };
        let start = self.instant(day.and_time(time_of(start)), true)?;
        let end = self.instant(next.and_time(time_of(end)), false)?;
        (start < end).then(|| Window { start, end, work: self.works(day) })
    }

    fn instant(self, local: NaiveDateTime, late: bool) -> Option<DateTime<Utc>> {
        // A skipped time does not exist: what follows the gap is its instant. Zones have skipped up to a whole day.
        (0..=24 * 60).find_map(|skipped| {
            let found = self.zone.from_local_datetime(&(local + TimeDelta::minutes(skipped)));
            let found = if late { found.latest() } else { found.earliest() };
            found.map(|found| found.with_timezone(&Utc))
        })
    }

    fn start_day(self, day: NaiveDate, minute: u16) -> NaiveDate {
        let wraps = self.hours.start > self.hours.end;
        if wraps && minute < self.hours.end { day - Days::new(1) } else { day }
    }

    fn works(self, day: NaiveDate) -> bool {
        self.days & bit(day.weekday()) != 0
    }
}

const fn bit(day: Weekday) -> u8 {
    1 << day.num_days_from_monday()
}

fn minute_of(time: NaiveTime) -> u16 {
    u16::try_from(time.num_seconds_from_midnight() / 60).unwrap_or_default()
}

fn time_of(minute: u16) -> NaiveTime {
    NaiveTime::from_num_seconds_from_midnight_opt(u32::from(minute) * 60, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(hours: &str, zone: &str, days: &[Weekday]) -> Presence {
        let hours = Hours::parse(hours).unwrap_or(Hours::ALWAYS);
        Presence { zone: zone.parse().unwrap(), hours, days: days.iter().fold(0, |all, day| all | bit(*day)) }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const WEEK: [Weekday; 5] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];

    #[test]
    fn what_cannot_be_read_is_no_window() {
        for text in [
            "not-a-window",
            "9-18",
            "09:00",
            "25:00-26:00",
            "09:00-18:99",
            "",
            "09:00-24:00",
            "9:00-18:00",
            "09:00-18:00-19:00",
            "+9:00-18:00",
            "09:00 -18:00",
        ] {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
        assert_eq!(Hours::parse("09:30-18:05"), Some(Hours { start: 570, end: 1085 }));
    }

    #[test]
    fn edges_are_half_open_and_wrapping_windows_belong_to_their_first_day() {
        let day = presence("09:00-17:30", "Europe/Berlin", &WEEK);
        assert_eq!(day.at(at("2026-03-23T07:59:59.999999999Z")), Attendance::Out);
        assert_eq!(day.at(at("2026-03-23T08:00:00Z")), Attendance::Work);
        assert_eq!(day.at(at("2026-03-23T16:29:59.999999999Z")), Attendance::Work);
        assert_eq!(day.at(at("2026-03-23T16:30:00Z")), Attendance::Out);
        assert_eq!(day.at(at("2026-03-22T10:00:00Z")), Attendance::Off);
        // Sunday night's shift ends on Monday morning; Friday's morning is still Thursday's.
        let night = presence("22:00-06:00", "Europe/Berlin", &[Weekday::Sun, Weekday::Thu]);
        assert_eq!(night.at(at("2026-03-22T20:59:59Z")), Attendance::Out);
        assert_eq!(night.at(at("2026-03-22T21:00:00Z")), Attendance::Work);
        assert_eq!(night.at(at("2026-03-23T04:59:59Z")), Attendance::Work);
        assert_eq!(night.at(at("2026-03-23T05:00:00Z")), Attendance::Out);
        assert_eq!(night.at(at("2026-03-23T22:00:00Z")), Attendance::Off);
        assert_eq!(night.at(at("2026-03-27T02:00:00Z")), Attendance::Work);
        let always = presence("08:00-08:00", "Asia/Kolkata", &[Weekday::Mon]);
        assert_eq!(always.at(at("2026-03-22T18:29:59Z")), Attendance::Off);
        assert_eq!(always.at(at("2026-03-22T18:30:00Z")), Attendance::Work);
    }

    #[test]
    fn daylight_saving_moves_the_window() {
        let day = presence("09:00-17:00", "America/New_York", &WEEK);
        assert_eq!(day.at(at("2026-03-06T13:59:00Z")), Attendance::Out);
        assert_eq!(day.at(at("2026-03-06T14:00:00Z")), Attendance::Work);
        assert_eq!(day.at(at("2026-03-09T13:00:00Z")), Attendance::Work);
    }

    proptest::proptest! {
        #[test]
        fn windows_are_inside_and_miss_nothing_but_repeated_hours(
            hour in 0u16..1440, end in 0u16..1440, zone in 0usize..6, start in 0i64..40_000, probe in 0i64..86_400 * 3,
        ) {
            let zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"];
            let presence = Presence { zone: zones[zone].parse().unwrap(), hours: Hours { start: hour, end }, days: 0b1_1111 };
            let from = DateTime::from_timestamp(1_300_000_000 + start * 13_000, 0).unwrap();
            let to = from + TimeDelta::days(3);
            let at = from + TimeDelta::seconds(probe);
            let windows: Vec<Window> = presence.windows(from, to).collect();
            for pair in windows.windows(2) {
                proptest::prop_assert!(pair[0].end <= pair[1].start);
            }
            let holding = windows.iter().find(|window| window.start <= at && at < window.end);
            if let Some(window) = holding {
                proptest::prop_assert!(presence.is_in(at));
                proptest::prop_assert!(presence.is_in(window.start));
                proptest::prop_assert_eq!(presence.window_at(at), Some(*window));
                proptest::prop_assert_eq!(presence.at(at) == Attendance::Work, window.work);
            } else if presence.is_in(at) {
                // Only next to a change of the clocks may the two readings differ.
                let offset = |at: DateTime<Utc>| at.with_timezone(&presence.zone).naive_local() - at.naive_utc();
                let moved = (-26..=26).any(|hours| offset(at + TimeDelta::hours(hours)) != offset(at));
                proptest::prop_assert!(moved, "{at} is in, but in none of {windows:?}");
            }
        }
    }
}
