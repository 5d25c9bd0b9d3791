"""Words on, before and above a link that show whose account it leads to, in many languages.

Most links on an association's page lead to others: the site's maker, partners, members, officers.
The languages are those in which associations in and around Morocco write, and those of site
builders.
"""

import re


def _compile_alternatives(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


_NETWORK_NAMES_REGEX = (
    r"facebook|fb|twitter|x|youtube|you tube|linkedin|linked in|instagram|insta|telegram|tik ?tok|"
    r"whats ?app"
)
_ARABIC_NETWORK_NAMES_REGEX = (
    r"(?:ال)?(?:فيسبوك|فايسبوك|تويتر|يوتيوب|لينكد ?[إا]ن|[إاأ]نستا?[غج]رام|تيك ?توك|واتس ?[اآ]ب|"
    r"تي?لي?[غج]رام)"
)

FOLLOW_US_PATTERN = _compile_alternatives(
    r"follow(?! (?:her|him|them|me)\b)|(?:like|join|find|visit|watch) us|connect with|subscribe",
    r"our (?:page|channel|facebook|twitter|youtube|linkedin|instagram|tiktok|telegram|whatsapp)",
    r"on (?:facebook|twitter|youtube|linkedin|instagram|tiktok|telegram|whatsapp|x)\b",
    r"suivez(?!-l[ea])|suivre|rejoignez|retrouvez|abonne|notre (?:page|chaîne|compte)|nos réseaux",
    r"sur (?:facebook|twitter|youtube|linkedin|instagram|tiktok|telegram|whatsapp)",
    r"folge|besuchen|auf (?:facebook|twitter|youtube)|síguenos|siga",
    r"تابع|اشترك|صفحتنا|قناتنا|حسابنا|"
    rf"على {_ARABIC_NETWORK_NAMES_REGEX}",
)
"""An invitation to follow the owner's account."""

NETWORK_NAME_PATTERN = re.compile(
    rf"\W*(?:(?:page|chaîne|compte|صفحة|قناة) )?(?:@?(?:{_NETWORK_NAMES_REGEX})|"
    rf"{_ARABIC_NETWORK_NAMES_REGEX})"
    r"\W*+(?:(?:page|channel|logo|icon|link|profile|(?<=-)f|(?<=-)in)\W*+)?",
    re.IGNORECASE,
)
"""A link text that only names its network, as an icon does."""

# Icons often have alternative texts of two letters, a number or words such as "image".
ICON_ALT_PATTERN = _compile_alternatives(
    r"(?:^|[\W_])(?:fb|insta|whatsapp)(?:[\W_\d]|$)|^x\b|\blogo x$",
    r"fa?ce?boo?k|twi?tt?er|you ?tube|link?ed ?in|instagram|tik ?tok|telegram|whats ?app",
    _ARABIC_NETWORK_NAMES_REGEX,
    r"^\W*+(?:\w{1,2}\W*+)?$",
    r"^\W*+(?:ic[oô]ne?s?|icono|bouton|button|btn|logo|image|img|picto\w*+|social|"
    r"r[ée]seaux?)?[\W_]*+(?:social|ic[oô]ne?|media)?[\W_\d]*+(?:png|jpe?g|svg|gif|webp)?$",
)
"""The alternative text of a network's icon, in contrast to another organisation's logo."""

_MAKER_WORDS_REGEX = (
    r"design\w{0,20}|conception|création|développé|développement|hébergé|hébergement|intégration|"
    r"squelette|"
    r"web ?sites?|site (?:web|internet)|build|built|made|crafted|created|hosting|hosted|maintained|"
    r"umsetzung|gestaltung|gestaltet|entwickelt|entwicklung|erstellt|programmierung|technik|"
    r"webseite|"
    r"diseñ\w{0,20}|desarroll\w{0,20}|realizado|maquetaci[óo]n|sitio web|realizzat\w{0,20}|"
    r"realizzazione|sviluppo|"
    r"sviluppat\w{0,20}|sito web|desenvolvi\w{0,20}|criação|criado|feito|ontwerp|ontworpen|"
    r"ontwikkel\w{0,20}|gemaakt|"
    r"bouw|tasarım|yazılım|kodlama|hazırlayan|projekt|wykonanie|realizacja|разработ\w{0,20}|"
    r"созда\w{0,20}|дизайн|"
    r"photos?|photographies?|[إا]نجاز|تنفيذ|[إا]نشاء|استضافة|قالب|القالب|الموقع"
)
CREDIT_PATTERN = _compile_alternatives(
    r"design(?:ed)?\b|powered|theme|template|developed|developer|créé par|réalisé|réalisation|"
    r"conçu",
    r"agence|webmaster|propulsé|credits?|تصميم|برمجة|تطوير",
)
"""The credit of a site's maker, wherever it is."""

_BY_REGEX = r"\bby|\bpar|\bvon|\bpor|\bda|\bdoor|\bprzez|tarafından|من طرف|من قبل|بواسطة"
MADE_BY_PATTERN = _compile_alternatives(
    rf"(?:^|\W)(?:{_MAKER_WORDS_REGEX})\b[^.!?|©]{{0,40}}?(?:(?:{_BY_REGEX})(?:\W|$)|:)"
)
"""The credit of a maker in words that only mean this before "by" or a colon."""

MADE_PATTERN = re.compile(
    r"(?:design\w{0,20}|conception|création|réalisation|développement|umsetzung|gestaltung|diseño|"
    r"desarrollo|"
    r"realizzazione|sviluppo|desenvolvimento|tasarım|yazılım|wykonanie|разработка|дизайн|"
    r"تصميم|برمجة|تطوير|[إا]نجاز|تنفيذ)(?: web)?\W*$",
    re.IGNORECASE,
)
"""The end of the text before a maker's name without "by" or a colon."""

BY_PATTERN = re.compile(rf"(?:{_BY_REGEX}|\bde|:|و)\W{{0,20}}$", re.IGNORECASE)
"""The end of the text before a maker's name."""

AGENT_BY_PATTERN = re.compile(rf"(?:{_BY_REGEX})\W*$", re.IGNORECASE)
"""The end of the text before the name of whoever did something."""

TIMELINE_PATTERN = _compile_alternatives(r"tweets (?:by|de|from|von)|posts from|تغريدات")

PARTNER_PATTERN = _compile_alternatives(
    r"partenaires?|partners?|partner(?:i|zy)\b|sponsor|m[ée]c[èe]nes|bailleurs|financeurs",
    r"(?:soutenu|financé|parrainé)e?s? par",
    r"avec (?:le soutien|l['’]appui|le concours|l['’]aide|la participation) d\S{0,40}\W{0,20}$",
    r"avec (?:le soutien|l['’]appui|le concours)\W*$|ils nous (?:soutiennent|font confiance|"
    r"accompagnent)",
    r"(?:supported|funded|sponsored|trusted) by|\bfunders|our (?:supporters|donors)|partnership "
    r"with",
    r"\bmember of|\bmembre d(?:e|u|es)\b|affiliée? [àa]|mitglied (?:im|in|bei|von|der|des)|miembro "
    r"de",
    r"förderer|gefördert|unterstützer|unterstützt (?:von|durch)|kooperation",
    r"\bcolabora(?:n|dor[ae]s)\b|patrocina|con el apoyo|sostenitori",
    r"con il (?:contributo|sostegno|patrocinio)",
    r"\bparceir[oa]s?\b|\bapoio\b|apoiadores|steunen ons|mogelijk gemaakt|destekç|ortaklarımız",
    r"wspierają|партн[её]р|спонсор|при поддержке",
    r"شركاء|شركاؤ?نا|شريكنا|بدعم من|بشراكة مع|الداعم|داعمونا|الممولون|عضو في",
)
"""Words before or above a link to a partner, a donor or an umbrella organisation."""

FRIENDLY_SITES_PATTERN = _compile_alternatives(
    r"^(?:nos )?(?:sites? |blogs? )?amis$|^nos amis|sites? amis|liens (?:utiles|amis)|^liens$|sur "
    r"le web$",
    r"^our friends|useful links|friendly sites|^links$|blogroll|^enlaces|^linktipps",
    r"مواقع (?:صديقة|مفيدة|ذات صلة)|روابط (?:مفيدة|صديقة)|^روابط$",
)
"""Headings of lists of other organisations' sites."""

PEOPLE_HEADING_PATTERN = _compile_alternatives(
    r"^(?:le |notre |l['’])?(?:équipe|equipe|bureau|comité|conseil d['’]administration)"
    r"(?: (?:directeur|exécutif|dirigeante?|pédagogique))?\W*$",
    r"\bnotre (?:équipe|bureau)|membres du bureau|mots? d(?:u|e la|e l['’]|es) \w*"
    r"(?:présid|direct|maire|fondat|secrét)",
    r"témoign|intervenants",
    r"\b(?:our|the|meet the) (?:team|board|people|staff|trustees|speakers|founders?|mentors|"
    r"committee)\b",
    r"^(?:team|board(?: of .*)?|trustees|staff|speakers|committee|leadership)\W*$",
    r"(?:message|word|note) from (?:the|our) |testimonial|what .{3,30} sa(?:y|id)\b",
    r"^(?:unser |das )?team$|^(?:unser |der )?vorstand$|^(?:nuestro |el )?equipo$",
    r"junta directiva|consiglio direttivo",
    r"başkanı$|yönetim kurulu|ekibimiz",
    r"أعضاء (?:ال)?مكتب|المكتب (?:المسير|التنفيذي)|^فريق (?:العمل|الجمعية)|^فريقنا|شهادات",
    r"كلمة (?:السيد |السيدة )?(?:ال)?(?:رئيس|مدير|عميد)",
)
"""Headings of lists of people with their own accounts."""

MEMBERS_HEADING_PATTERN = _compile_alternatives(
    r"\b(?:nos|les) (?:\w+ )?(?:clubs|membres|adhérents|antennes|sections|délégations|filiales|"
    r"ligues)\b",
    r"(?:associations?|clubs?|coopératives?|structures?) (?:membres?|adhérente?s?|affiliée?s)\b",
    r"trouve[rz] (?:un|une|votre|ton) ",
    r"^find (?:a|your) |\b(?:our|local|member|regional|affiliated) (?:\w+ )?(?:clubs|members|"
    r"chapters|branches|choirs|teams|troops|churches|societies|associations|organi[sz]ations)\b",
    r"(?:local|member) groups",
    r"^(?:unsere |die )?mitglieds(?!chaft)\w+|ortsgruppen|landesverbände",
    r"unsere (?:vereine|mitglieder|sektionen)",
    r"(?:nuestr[oa]s|l[oa]s) (?:clubes|miembros|delegaciones|asociaciones)|şubelerimiz|şubeler$",
    r"فروعنا|^الفروع|فروع (?:الجمعية|الاتحاد|الشبكة)|الجمعيات (?:الأعضاء|العضوة|المنخرطة)|أعضاؤنا|"
    r"^الأندية",
)
"""Headings of lists of a federation's members with their own accounts."""

OWNER_HEADING_PATTERN = _compile_alternatives(
    r"contact|réseaux sociaux|social|nous (?:écrire|joindre)|coordonnées|redes|netzwerke?n?$",
    r"التواصل|اتصل|تواصل",
)
"""Other headings above the owner's accounts."""

# Authorities and donors, by their names in Morocco.
AUTHORITY_OR_DONOR_PATTERN = _compile_alternatives(
    r"minist[eè]re|ministry|ambassade|embassy|pr[ée]fecture|wilaya|conseil (?:r[ée]gional|"
    r"provincial)",
    r"union europ[ée]enne|european union|\b(?:unicef|undp|pnud|usaid|giz|indh|unesco)\b",
    r"وزارة|سفارة|ولاية|عمالة|المجلس (?:الجهوي|الإقليمي)|الاتحاد الأوروبي|المبادرة الوطنية",
)

ACCOUNT_ADDRESS_PATTERN = re.compile(
    r"\s*(?:https?:?//|www\.|@|[\w.-]*(?:facebook|fb|twitter|x|youtube|linkedin|instagram|tiktok|whatsapp)\.com/|"
    r"(?:t|telegram)\.me/)\S*\s*"
)
