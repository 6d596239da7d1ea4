"""Labels that name a language, a department or a topic: by the words that go with them."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

from homeport.skills.words import STOP

LANGUAGES: dict[str, tuple[tuple[str, ...], str]] = {
    "english": (("english", "en", "englisch", "anglais"), "the and is of to in you that it for with are this was have not but where my please what when we they can will from"),
    "german": (("german", "de", "deutsch", "allemand"), "der die das und ist nicht ich wir sie mit ein eine einen zu auf für von den dem im haben hat wie wo bitte auch noch sehr mein meine kein"),
    "french": (("french", "fr", "français", "francais", "französisch"), "le la les et est un une des du de je vous nous pas pour que qui dans sur avec mon ma ce cette où merci il elle au très bonjour"),
    "spanish": (("spanish", "es", "español", "espanol", "spanisch"), "el la los las y es un una de que no en por para con mi su está donde gracias muy yo usted pero como cuando hola mañana"),
    "italian": (("italian", "it", "italiano", "italienisch"), "il lo la gli le e è un una di che non per con sono ho mi dove grazie molto come quando della nel alla questo ciao anche"),
    "dutch": (("dutch", "nl", "nederlands", "niederländisch"), "de het een en is van ik je niet dat met voor op zijn wij naar waar graag ook nog maar bij deze mijn kan heb"),
    "portuguese": (("portuguese", "pt", "português", "portugues"), "o a os as e é um uma de que não em para com meu minha você onde obrigado muito mas como quando está isso"),
    "polish": (("polish", "pl", "polski", "polnisch"), "i w nie na to jest się z do że jak mam proszę dziękuję gdzie czy moja mój dla tak już od po"),
    "swedish": (("swedish", "sv", "svenska"), "och det att är jag en ett inte på som för med har var tack mycket min den vi"),
    "danish": (("danish", "da", "dansk"), "og det at er jeg en et ikke på som for med har hvor tak meget min den vi af til"),
    "norwegian": (("norwegian", "no", "norsk"), "og det å er jeg en et ikke på som for med har hvor takk veldig min den vi av til"),
    "finnish": (("finnish", "fi", "suomi"), "ja on ei se että mutta minä olen kiitos missä hyvä tämä kun niin mitä oli ovat"),
    "czech": (("czech", "cs", "čeština", "cz"), "a je to se na v že s z do jsem prosím děkuji kde jak můj moje ale pro tak"),
    "turkish": (("turkish", "tr", "türkçe"), "ve bir bu için çok değil ne nerede var yok benim lütfen teşekkürler ile mi da de daha gibi"),
}  # fmt: skip
SCRIPTS = {
    "russian": (("russian", "ru", "русский"), r"[а-яё]"), "ukrainian": (("ukrainian", "uk", "українська"), r"[іїєґ]"), "greek": (("greek", "el", "ελληνικά"), r"[α-ωά-ώ]"),
    "japanese": (("japanese", "ja", "日本語"), r"[\u3040-\u30ff]"), "chinese": (("chinese", "zh", "中文", "mandarin"), r"[\u4e00-\u9fff]"), "korean": (("korean", "ko", "한국어"), r"[\uac00-\ud7af]"),
    "arabic": (("arabic", "ar", "العربية"), r"[\u0600-\u06ff]"), "hebrew": (("hebrew", "he"), r"[\u0590-\u05ff]"), "hindi": (("hindi", "hi"), r"[\u0900-\u097f]"), "thai": (("thai", "th"), r"[\u0e00-\u0e7f]"),
}  # fmt: skip
TOPICS: dict[str, str] = {  # stems, each said once; a label finds its topic by any of the words before the colon
    "billing invoice payment payments finance accounting money accounts refund": "invoice bill charg pay paid payment refund price cost credit debit card bank money fee subscription receipt tax vat account balance overdue twice "
        "amount euro dollar",
    "shipping delivery logistics shipment parcels dispatch": "parcel package deliver ship courier track arriv box driver late address post customs carrier warehouse depot order sent lost transit doorstep",
    "technical support tech it engineering software bug technology": "error crash bug login password app website server install update screen software computer wifi network code log load connect browser reset page "
        "freeze version printer laptop device database",
    "sales purchase buying order orders offer": "buy purchase offer quote price discount demo order licence license seats plan upgrade trial quantity catalogue stock bulk interested package",
    "hr human resources personnel career jobs hiring recruiting": "vacation leave holiday salary payslip job apply application interview contract hire sick parental training colleague cv candidate vacancy employ "
        "onboarding",
    "account login access security": "account password login log username email profile locked access two-factor code hacked reset delete sign verify",
    "returns return exchange warranty": "return exchange refund wrong size broken defect warranty replace send back damaged swap label",
    "sport sports": "match team goal player game cup league win won score coach race champion season tournament ball olymp marathon striker tennis football final "
        "medal defeat stadium",
    "politics government election": "minister parliament vote election law president party government senate coalition policy treaty mayor council bill reform campaign opposition "
        "cabinet referendum chancellor",
    "business economy economics market markets": "company share profit market revenue bank stock price merger trade invest inflation sales quarter economy factory jobs rate firm startup ceo "
        "growth acquire bought rival million billion chain retailer brand owner brewery carmaker turnover loss debt euro dollar",
    "science research nature": "study research scientist planet cell species telescope experiment physics chemistry biology dna gene space lab discover fossil climate star "
        "particle university ocean",
    "health medicine medical doctor": "doctor patient hospital disease vaccine drug pain symptom treatment nurse virus heart cancer surgery fever medicine therapy diet sleep tooth "
        "dentist blood",
    "culture art arts entertainment music film movies": "film museum concert novel actor exhibition theatre artist album song band festival painting book opera premiere gallery orchestra director poem "
        "singer cinema",
    "weather climate": "rain sun snow wind storm cloud temperature forecast degree cold warm fog frost thunder hail sunny drizzle heatwave",
    "travel tourism holiday trip": "flight hotel trip train ticket airport holiday beach tour luggage passport visa cruise itinerary guide booking sightsee hostel departure island",
    "food cooking restaurant recipes kitchen dining": "recipe cook eat soup bread dish restaurant menu bake dinner meal taste sauce chef cheese vegetable oven flour butter fruit wine breakfast",
    "education school teaching learning university": "school teacher student class exam course homework lesson university degree pupil lecture study grade semester classroom",
    "housing real estate property home rent apartment": "flat rent landlord house tenant apartment room lease heating kitchen deposit neighbour mortgage roof boiler stairs plumber",
    "family personal private life": "mother father sister brother child kids wedding birthday grandma family friend dinner weekend love",
    "legal law contract lawyer": "contract lawyer court sue clause law legal liability notice terminate judge claim rights agreement gdpr",
    "cars car automotive transport traffic vehicle": "car engine tyre brake garage traffic road bus tram train driver fuel mileage motorway bike parking battery gear",
    "garden gardening plants": "garden plant tomato flower seed soil prune lawn tree water hedge compost bloom slug",
    "animals pets pet vet": "dog cat puppy horse vet rabbit bird fish leash fur paw feed kitten hamster pet",
    "fashion clothes clothing": "dress shirt shoe jacket size colour wear fabric coat sleeve trousers scarf wool",
    "joy happiness happy": "happy glad wonderful great excited love yay smile delighted thrilled proud hooray fantastic cheerful",
    "sadness sad grief": "sad cry miss lonely tears died funeral lost heartbroken grief down sorry gone empty",
    "anger angry": "angry furious mad rage outrageous hate fed up annoyed unacceptable how dare",
    "fear afraid scared anxiety": "afraid scared fear terrified nervous panic worried anxious dread frightened trembling",
    "surprise surprised": "surprised unexpected wow suddenly never thought out of the blue astonished shocked believe",
    "greeting hello": "hello hi hey good morning greetings welcome howdy",
    "thanks gratitude thank you praise": "thank thanks grateful appreciate kind great wonderful excellent lovely",
    "cancellation cancel termination": "cancel terminat end subscription stop quit unsubscribe no longer",
    "appointment booking scheduling schedule reservation meeting": "appointment book schedule reschedule meeting slot calendar tomorrow monday tuesday wednesday thursday friday table reserve time",
    "shipped sent transit": "shipped on its way left warehouse dispatched sent courier tracking transit",
    "delivered arrived received": "delivered arrived received handed left at doorstep signed",
    "lost missing": "lost missing never arrived disappeared nowhere",
    "formal": "dear sir madam sincerely hereby regarding kindly pursuant faithfully",
    "informal casual": "hey lol u gonna wanna cool yeah cheers mate haha thx",
}  # fmt: skip


def languages(text: str, names: Sequence[str]) -> dict[str, float] | None:
    """For labels that are languages: by their small words, or their script."""
    known = {word: language for language, (words, _) in [*LANGUAGES.items(), *SCRIPTS.items()] for word in words}
    meant = {name: known.get(name.strip().casefold()) for name in names}
    spoken = [language for language in meant.values() if language is not None]
    if len(spoken) < 2 or len(spoken) < len(names) - 1:
        return None
    low = text.casefold()
    words = re.findall(r"[^\W\d_]+", low)
    found = {}
    for name, language in meant.items():
        if language is None:
            found[name] = 0.3
        elif language in SCRIPTS:
            signs = len(re.findall(SCRIPTS[language][1], low))
            if language == "chinese" and re.search(SCRIPTS["japanese"][1], low):
                signs = 0
            if language == "russian" and re.search(SCRIPTS["ukrainian"][1], low):
                signs //= 3
            found[name] = 0.05 + (4.0 if language == "ukrainian" else 1.0) * signs
        else:
            small = set(LANGUAGES[language][1].split())
            found[name] = 0.05 + 3.0 * sum(word in small for word in words) / max(1, len(words)) * min(len(words), 8)
            found[name] += (
                2.0
                * len(
                    re.findall(
                        {
                            "german": "[äöüß]",
                            "french": "[éèêçà]",
                            "spanish": "[ñ¿¡áíóú]",
                            "polish": "[łąęśżźćń]",
                            "turkish": "[ğşı]",
                            "swedish": "[åäö]",
                            "danish": "[åæø]",
                            "norwegian": "[åæø]",
                            "portuguese": "[ãõç]",
                            "italian": "[àèìòù]",
                            "czech": "[řěůčšž]",
                            "finnish": "[äö]",
                        }.get(language, r"\b\B"),
                        low,
                    )
                )
                / max(1, len(low))
                * 20
            )
    return {name: value**2 for name, value in found.items()}


def _begun(words: list[str], stem: str) -> list[str]:
    """Those of some words in their order that begin with a stem."""
    return words[bisect.bisect_left(words, stem) : bisect.bisect_left(words, stem + "\U0010ffff")]


def about(text: str, names: Sequence[str]) -> dict[str, float]:
    """For labels of any kind: their own words in the text, and the words that go with them."""
    words = sorted(word for word in re.findall(r"[^\W\d_]{2,}", text.casefold()) if word not in STOP)
    scores = dict.fromkeys(names, 0.0)
    for name in names:
        own = [word for word in re.findall(r"[^\W\d_]+", name.casefold()) if word not in STOP]
        for word in own:
            stem = word[: max(4, len(word) - 3)]
            scores[name] += 1.6 * min(2, len(_begun(words, stem)))
        stems: set[str] = set()
        for labels, more in TOPICS.items():
            if any(word in labels.split() or (len(word) > 4 and any(label.startswith(word[:-1]) for label in labels.split())) for word in own):
                stems.update(more.split())
        hits = {one for stem in stems for one in _begun(words, stem) if one == stem or len(stem) > 3}
        scores[name] += 1.0 * len(hits) / (1.0 + 0.004 * len(stems))
    low = {name.strip().casefold() for name in names}
    for name in names:
        if name.strip().casefold() in ("other", "none", "misc", "general", "else", "neither", "miscellaneous") and len(low) > 1:
            scores[name] = 0.5
    return {name: 2.2 ** min(score, 6.0) for name, score in scores.items()}
