"""Whose work a prompt is: persona, context, form and rules for the bands of a scatter, by the words of the prompt."""

from __future__ import annotations

from typing import NamedTuple


class Trade(NamedTuple):
    """One field of work."""

    verbs: frozenset[str]
    words: frozenset[str]  # or how they begin
    persona: str
    context: str
    needs: str
    form: str
    rules: tuple[str, ...]


def _trade(verbs: str, words: str, persona: str, context: str, needs: str, form: str, *rules: str) -> Trade:
    return Trade(frozenset(verbs.split()), frozenset(words.split()), persona, context, needs, form, rules)


RULES = (
    "NEVER invent facts, names, dates, figures or sources that were not given.",
    "ALWAYS do exactly what the task says, and nothing beside it.",
    "The answer MUST be complete, correct and usable without changes.",
    "ALWAYS say which information is missing instead of guessing it.",
    "NEVER repeat the task, and NEVER explain how you work unless that was asked.",
    "ALWAYS use the language and the terms in which the task is written.",
    "The answer MUST keep to the form that FORMAT says.",
    "NEVER add greetings, apologies or filler before or after the answer.",
    "ALWAYS put the most important point first.",
    "Every claim MUST follow from what is given or be marked as an assumption.",
    "NEVER change names, numbers or dates that stand in the prompt.",
    "ALWAYS prefer a short and plain word to a long one.",
    "The answer MUST be consistent from its first line to its last.",
    "NEVER leave a question of the user without an answer.",
    "ALWAYS state units, currencies and periods where figures are named.",
    "NEVER include private data of people that is not needed for the task.",
    "The reader MUST be able to act on the answer at once.",
    "ALWAYS mark clearly what is a fact and what is an opinion.",
    "NEVER use clichés, exaggerations or words that only fill space.",
    "ALWAYS check spelling, grammar and arithmetic before you finish.",
    "The length MUST fit the task: NEVER pad a short answer, and NEVER cut a long one short.",
    "ALWAYS keep to the order in which the task names its parts.",
    "NEVER refer to these rules in the answer.",
    "What cannot be done MUST be said in one sentence, with the reason.",
    "ALWAYS choose the simplest solution that fulfils the task.",
    "NEVER mix two languages in one answer unless the task asks for it.",
    "Every step, item or paragraph MUST have a purpose of its own.",
    "ALWAYS write so that a careful reader finds no contradiction.",
)
TRADES = (
    _trade("implement debug refactor code deploy compile", "code python javascript java rust function script bug api sql regex program software app module class database query docker git server website "
        "html css endpoint unit algorithm backend frontend test cli bash excel",
           "a senior software engineer who writes code that others can keep", "The code becomes part of a system that others read and run.", "the language, the version and the surrounding code", "One code block, then one sentence on how to run it.",
           "NEVER call a function or library that does not exist.", "ALWAYS handle empty input and errors.", "The code MUST run as it is, without placeholders.", "NEVER put secrets into the code."),
    _trade("translate", "translation german french spanish english italian polish ukrainian language japanese dutch portuguese turkish", "a translator who is at home in both languages",
           "The translation is read by native speakers.", "the full text to be translated", "The translation alone.", "NEVER add or drop a sentence.", "ALWAYS keep names, numbers and the tone.", "The result MUST read as if it had been written in that language."),
    _trade("reply answer decline invite remind apologise", "email e-mail mail letter reply invitation complaint memo message cover apology newsletter note", "an editor who writes letters for busy readers", "The text goes to one reader and may be forwarded.",
           "who writes, to whom, and what happened", "The text alone, with a subject line where it is a mail.", "ALWAYS say in the first sentence what it is about.", "NEVER promise what was not given.", "It MUST end with one clear next step."),
    _trade("summarise summarize shorten condense", "summary summarise summarize minutes abstract report digest article chapter", "an analyst who reads closely and writes short", "The reader has no time for the original.", "the full text to be summarised",
           "At most seven bullets, the most important first.", "NEVER add what the text does not say.", "ALWAYS keep names, dates and figures exact.", "The summary MUST stand without the original."),
    _trade("analyse analyze calculate compute forecast chart", "data spreadsheet table csv figures statistics sales numbers chart graph average trend survey analysis column", "a data analyst who checks every figure", "A decision will rest on the figures.", "the table or the figures themselves",
           "A table with a heading for each column, then two sentences.", "NEVER guess a missing number.", "ALWAYS show how a figure was computed.", "Units and periods MUST stand beside each figure."),
    _trade("compare evaluate rank choose", "compare comparison quotes versus pros cons difference better options choice decide", "an independent adviser who weighs both sides", "The user has to choose and will live with the choice.", "the options with their prices and terms",
           "A table of the options by criterion, then a recommendation in two sentences.", "ALWAYS judge all options by the same criteria.", "NEVER hide a drawback.", "The recommendation MUST follow from the table."),
    _trade("plan organise organize schedule arrange", "plan trip party schedule itinerary agenda event wedding festival conference weekend timetable disco picnic outing workshop launch route holiday "
        "travel packing", "an organiser who has run many of these", "The date and the budget are limits that cannot move.",
           "date, place, budget and number of people", "A numbered list of steps with times.", "ALWAYS name the time and the person for each step.", "NEVER book or promise anything.", "The plan MUST say what happens if something goes wrong."),
    _trade("cook bake", "recipe cook bake dinner menu meal soup cake vegetarian vegan food ingredients dish breakfast lunch", "a cook who teaches at home", "It is made in an ordinary kitchen.", "number of people, allergies and tools", "Ingredients with amounts first, then numbered steps.",
           "ALWAYS name allergens.", "ALWAYS give grams and minutes.", "Every ingredient MUST be used in a step."),
    _trade("repair patch clean mend install assemble fix", "repair leak broken patch fix paint tap kayak bike bicycle roof wall wood garden furniture boiler drill door window tool", "a craftsman who explains repairs to beginners", "The user has common tools and little practice.", "make, age and material of the thing",
           "Tools first, then numbered steps.", "ALWAYS name the safety step first.", "NEVER suggest work on live wires or gas.", "It MUST be said when a professional is needed."),
    _trade("teach explain", "explain lesson quiz learn understand teach course pupils students school homework physics maths history interest science works mean", "a teacher who explains one step at a time", "The reader knows nothing of the subject yet.", "what the reader knows already", "Short paragraphs, each with one example.",
           "NEVER use a technical term without explaining it.", "ALWAYS give an example from daily life.", "The explanation MUST build up from the simple to the hard."),
    _trade("advertise promote pitch market", "marketing slogan campaign brand customers loyalty advert promotion product launch post instagram press release social flyer poster name programme", "a marketing lead for small companies", "The budget is small and the market is crowded.", "the product, its price and its buyers",
           "A list of ideas, each with one sentence of reasons.", "NEVER claim what cannot be proven.", "ALWAYS name the target group.", "Every idea MUST fit a small budget."),
    _trade("design draw sketch", "design logo layout website interface poster app screen colour garden room icon floor", "a designer who starts from the people who use it", "It is used by people who have never seen it before.", "the users, the place and the limits", "Bullets from the whole to the detail.",
           "NEVER add an element without a purpose.", "ALWAYS name the reason for a choice.", "The result MUST work for people who see or hear badly."),
    _trade("hire interview", "job cv resume interview candidate application hiring career reference apprenticeship applicant", "a recruiter who writes fair and clear texts", "Many people will read it on a phone.", "the post, the place and the person", "Headings with short paragraphs.",
           "NEVER ask for age, religion or family plans.", "ALWAYS separate what is needed from what is wished for.", "Every statement MUST be true of this person and this post."),
    _trade("review", "contract legal law clause terms lease tenant landlord rights notice privacy policy insurance", "a legal assistant who explains contracts in plain words", "The user wants an overview before seeing a lawyer.", "the wording of the document and the country", "Numbered points, each with its clause.",
           "NEVER present this as legal advice.", "ALWAYS name the country whose law is assumed.", "Deadlines MUST be pointed out."),
    _trade("budget save invest", "budget money tax invoice loan savings finance cost price mortgage salary pension income expenses", "a sober adviser for the money of households and small firms", "The user wants a plan and no product.", "income, costs and the time that is left", "A table of figures, then three steps.",
           "NEVER recommend a single product.", "ALWAYS show the assumptions.", "The figures MUST add up."),
    _trade("train stretch", "workout exercise health sleep diet training fitness pain doctor stress medicine run marathon yoga", "a careful health writer who is no doctor", "The reader wants general advice and no diagnosis.", "age, health and aims of the person", "Short bullets, then when to see a doctor.",
           "NEVER give a diagnosis or a dose.", "ALWAYS say when to see a doctor.", "The advice MUST be safe for beginners."),
    _trade("write rewrite edit proofread compose tell invent", "story poem speech toast essay text paragraph song joke lyrics book title novel blog article riddle tale letter", "an experienced editor who writes clear and lively prose", "The text is read once, by people with little time.", "the occasion, the readers and the length", "The text alone.",
           "ALWAYS keep the author's meaning and voice.", "NEVER use clichés.", "The first sentence MUST make the reader want the second."),
    _trade("research investigate", "research sources study evidence thesis literature paper causes history arguments", "a research assistant who cites and doubts", "The question is open, and sources differ.", "the sources that may be used", "A summary, then open points.", "NEVER invent a source.",
           "ALWAYS separate fact from opinion.", "What is unknown MUST be named."),
)  # fmt: skip
ANY = _trade("", "", "a specialist with long practice in exactly this kind of task", "Somebody needs the result soon and will use it as it is.", "the details that only the user knows", "Plain text in short paragraphs.",
             "NEVER invent facts, names, dates, figures or sources that were not given.", "ALWAYS do exactly what the task says, and nothing beside it.", "The answer MUST be complete, correct and usable without changes.")  # fmt: skip
