//! English: subjects of letters.

use crate::words::Topic;

/// All of them.
#[rustfmt::skip]
pub(super) static TOPICS: &[Topic] = &[
    Topic {
        id: "offer-review", roles: &[], months: &[],
        subjects: &["{supplier}: {thing}", "Offer of {supplier}, {amount}", "{^thing} for {project}"],
        openings: &[
            "{supplier} has sent a new {thing} over {amount}.", "I have the {thing} of {supplier} on my desk.", "We need to decide about {supplier} {deadline}.",
        ],
        details: &[
            "Compared with the last one it is {rate} more, mostly because of {cost}.", "{who} has looked at it and finds the part about {cost} unclear.",
            "They want an answer {deadline}.", "Delivery would be {when}, to {room_or_place}.", "The other offer, from {supplier}, is {amount}.",
            "Payment is due within {nn} days, which {who} does not like.", "For {project} we would need {item} as well.",
        ],
        answers: &[
            "I would take it if they drop {cost}.", "{amount} is more than we have for {project} this year.", "Ask them for {rate} off, they usually agree.",
            "{who} should sign, it is above my limit.", "Please wait for the second offer, it comes {when}.",
        ],
    },
];
