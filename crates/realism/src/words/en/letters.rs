//! English: what frames letters.

#[rustfmt::skip]
pub(super) static GREETINGS: &[&str] = &[
    "Hi {to},", "Hello {to},", "Hey {to},", "{to},", "Morning {to},", "Good morning {to},", "Hi {to}", "Hello {to}", "Hi there {to},", "{to}, hi,",
    "Afternoon {to},", "Hi again {to},", "Hi {to}, quick one:", "Hello again {to},", "{to} -", "Hi {to}, short question:", "Hi {to}, hope all is well.",
    "Good day {to},", "Hey {to}, one thing:", "Hi {to}, before I forget:", "Hi {to}, as promised:", "Hello {to}, just briefly:",
];
#[rustfmt::skip]
pub(super) static GREETINGS_FORMAL: &[&str] = &[
    "Dear {to},", "Good morning {to},", "Good afternoon {to},", "Hello {to},", "Good day {to},", "Dear {to}, good morning,", "Dear {to}, I hope you are well.",
    "Dear {to}, thank you for your time.", "Dear {to}, a short note.",
];
#[rustfmt::skip]
pub(super) static CLOSINGS: &[&str] = &[
    "Cheers,", "Thanks,", "Best,", "Thanks a lot,", "See you {day},", "Talk soon,", "Thx,", "Bye for now,", "Have a good {day},", "Many thanks,", "Ta,", "Later,",
    "Thanks again,", "All the best,", "Take care,", "Regards,", "Until {day},", "Thank you,", "Speak {day},", "Greetings from {room},", "Back at it,",
    "Thanks for your help,",
];
#[rustfmt::skip]
pub(super) static CLOSINGS_FORMAL: &[&str] = &[
    "Kind regards,", "Best regards,", "With kind regards,", "Sincerely,", "Yours sincerely,", "With best wishes,", "Many thanks and kind regards,", "Regards,",
    "Respectfully,", "Thank you and best regards,", "Warm regards,", "With thanks,", "Kindest regards,",
];
#[rustfmt::skip]
pub(super) static ANSWER_OPENINGS: &[&str] = &[
    "Thanks, got it.", "Thank you for letting me know.", "Good question.", "Sorry for the late answer, {day} was full.", "I talked to {who} about it.",
    "Yes, that works.", "Not quite, I am afraid.", "I had a look at {time}.", "{who} asked me the same on {day}.", "Thanks for the reminder.",
    "Agreed in principle.", "Let me answer in the order you asked.", "I checked with {who} and {other}.", "That was quick, thanks.", "Fine with me.",
    "I need a bit more time for this.", "Here is what I know as of {past}.", "You are right about the {thing}.", "I was out until {day}, so only now:",
    "Short answer: yes, {when}.", "Short answer: no, not before {soon}.", "I forwarded it to {who}.", "Understood.", "I would rather do it {when}.",
    "Almost: the {thing} is still with {who}.", "I saw your mail between two meetings.", "Thank you, {who} told me already.", "Happy to help with that.",
    "I do not have the {thing} here, but from memory:", "Yes and no.", "That matches what {who} has.", "Good that you ask.",
];
#[rustfmt::skip]
pub(super) static ANSWER_SENTENCES: &[&str] = &[
    "I will send you {doc} {when}.",
    "{who} has {doc}, please ask there first.",
    "Could you tell {who} as well?",
    "Let us talk about it {when}, room {room} is free.",
    "I can do {day} at {time}, if that suits you.",
    "{who} will take it from here.",
    "From my side there is nothing more to add, {who} may differ.",
    "Please wait for {who}, who is back {when}.",
    "I have put it in {system} so that {who} sees it.",
    "If it is urgent, call {contact}.",
    "The {thing} you mention is from {past}, there is a newer one.",
    "We did the same for {project} and it took {n} days.",
    "I would need the {thing} first.",
    "{^contact} should know by {day}.",
    "Can you check {doc} once more?",
    "I told {who} to expect your call {when}.",
    "It is on my list for {day}.",
    "That will cost about {amount}, I think.",
    "{other} sees it differently, so let us ask {who}.",
    "I have no strong opinion, {who} should decide.",
    "The deadline moved to {soon}, so there is time.",
    "Do you have the number of {contact}?",
    "I am in {city} {when} and can only read mail in the evening.",
    "{^doc} is attached to {ticket}.",
    "Please do not change the {thing} before {day}.",
    "I wrote to {supplier} about it on {past}.",
    "No answer from {supplier} so far.",
    "We can also skip it and start with the {thing}.",
    "Count me in for the {meeting}.",
    "I cannot make the {meeting}, {who} goes instead.",
    "{who} wants it in writing.",
    "If {who} agrees, so do I.",
    "Let me know {when} whether that is enough.",
    "The short version is in {doc}.",
    "I will come by at {time}.",
    "Next time please copy {who}.",
    "I have asked for {amount_of} more.",
    "It should be done {when}, at least the first part.",
    "There is one catch: {cost} is not included.",
    "{who} in {city} has done this before.",
];
