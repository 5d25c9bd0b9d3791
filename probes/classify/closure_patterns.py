"""What anybody may write of a site, a bridge, a school or a shop: suspended, for sale, unfinished, gone.

A table of words that count as `probes.classify.self_statements` alone, matched by
`probes.classify.classifier`. Arabic and French as panels translate them; the other languages as hosts' panels
write them, 2026-11.
"""

from __future__ import annotations

from probes.classify.notice_patterns import Sign, any_of
from probes.models.finding import Reason

ALONE = 24  # characters: a name, and nothing else

ABSENCES = (
    Sign(
        Reason.SUSPENDED,
        any_of(
            r"account (?:has been )?suspended|^suspended$",
            r"(?:web)?site (?:you are trying to access )?(?:has been |is |temporarily )*(?:suspended|"
            r"disabled|"
            r"deactivated|expired|blocked by the host)",
            r"account (?:has been |is )?(?:temporarily )?(?:suspended|disabled|deactivated|closed)",
            r"suspended (?:page|website|domain|account|hosting)",
            r"domain (?:name )?(?:has been |is )?suspended",
            r"please renew your subscription",
            r"this (?:shop|store) is currently unavailable",
            r"website is no longer available",
            r"hosting (?:account |service |plan )?(?:has |is )?expired|service (?:has been|is) suspended",
            r"compte (?:d.hébergement )?(?:a été |est )?suspendu|abonnement .{0,20}expiré",
            r"site (?:web |internet )?(?:a été |est )?(?:temporairement )?(?:suspendu|désactivé)",
            r"hébergement (?:de ce site )?(?:a été |est |a )?(?:suspendu|expiré|désactivé)",
            r"hosting (?:has been |is )?suspended",
            r"تم (?:تعليق|إيقاف|ايقاف) (?:هذا |حساب )?(?:الحساب|حسابك|الموقع|الاستضافة)",
            r"(?:الحساب|هذا الموقع|الموقع) (?:معلق|موقوف|متوقف)",
            r"(?:cuenta|sitio(?: web)?) (?:ha sido )?(?:suspendid[ao]|desactivad[ao])",
            r"(?:conta|site) (?:foi |est[áa] )?suspens[ao]",
            r"(?:konto|account|webseite|website|internetseite|internetpräsenz|homepage|webspace|webpaket) "
            r"(?:wurde |ist )?(?:derzeit |vorübergehend |momentan )?(?:gesperrt|deaktiviert)",
            r"(?:account|sito|servizio|dominio) (?:è (?:stato )?)?sospeso",
            r"(?:account|website|hosting\w*) (?:is )?(?:opgeschort|geblokkeerd)",
            r"(?:hesa(?:p|bı)|(?:web )?site(?:si)?|barındırma)(?: \w+){0,2} askıya alın(?:dı|mıştır)",
            r"(?:сайт|аккаунт|хостинг|домен) (?:\w+ )?(?:заблокирован|приостановлен|отключ[её]н)",
            r"(?:konto|strona|usługa|domena|hosting)(?: \w+)? (?:została |zostało |został |jest )?"
            r"(?:zablokowan[aey]|zawieszon[aey]|zablokowany)",
            r"(?:sid(?:e|an|en)|webbplats\w*|hjemmeside\w*|konto\w*) (?:er |är |har )?(?:blitt |blevet |"
            r"blivit )?"
            r"(?:suspender\w+|stängts av|avstängd|sperret|spærret|stengt)",
            r"(?:akun|situs|hosting|layanan)(?: \w+)?(?: ini)? (?:telah |sedang )?(?:ditangguhkan|"
            r"dinonaktifkan)",
        ),
        beside=80,
    ),
    Sign(
        Reason.PARKED,
        any_of(
            r"(?:website|site)(?: name)?(?: \S+)? (?:is |may ?be |might be )?for sale",
            r"buy this domain(?: name)?(?: now)?",
            r"domain (?:name )?(?:\S+\.\w+ )?(?:is|was|has been) (?:recently |already )?registered"
            r"(?: (?:and parked )?(?:with|by|at|via|through) \S+)?",
            r"domaine (?:est )?(?:parqué|expiré|en attente de renouvellement)",
            r"dominio (?:está |è )?(?:en venta|aparcado|in vendita)",
        ),
        beside=80,
    ),
    # Words that name no site: nothing else may be said.
    Sign(
        Reason.PARKED,
        any_of(r"parking page|parked page", r"^domaine réservé"),
        beside=ALONE,
    ),
    Sign(
        Reason.DEFAULT_PAGE,
        any_of(
            r"(?:web)?site (?:is )?(?:currently )?(?:under|in) construction",
            r"under maintenance and construction",
            r"(?:web ?)?site.{0,30}(?:coming soon|opening soon|launching soon)",
            r"(?:web)?site (?:is )?(?:currently |still )?being (?:built|created|developed)",
            r"(?:new|our) (?:web)?site (?:is |will be )?(?:coming|launching)",
            r"site (?:web |internet )?(?:est )?en préparation",
            r"(?:جاري|جار|يتم) (?:إنشاء|انشاء|تطوير|بناء|تجهيز|إعداد) (?:هذا )?(?:الموقع|موقعنا)",
            r"(?:site|page) (?:web )?(?:est )?en cours de (?:réalisation|création|développement|préparation)",
            r"(?:page|site) (?:web |internet )?(?:est )?(?:actuellement )?en (?:cours de )?construction",
            r"(?:bientôt|prochainement) en ligne\W*$|site arrive (?:très )?(?:bientôt|prochainement)",
            r"future home of(?: something quite cool)?",
            r"(?:working on|travaillons sur|arbeiten an|trabajando en) (?:our|a|notre|un|unserer|nuestra|"
            r"nuestro) "
            r"(?:new |nouveau |neuen |nueva |nuevo )?(?:web ?site|site|webseite|web|sitio)",
            r"(?:نشتغل|نعمل) على (?:تطوير |إعداد |تحديث )?موقعنا(?: الجديد)?",
            r"(?:website|site|pagina) (?:is )?(?:momenteel )?in (?:aanbouw|opbouw)",
            r"(?:webbplats\w*|hemsid\w*|webbsid\w*|sid(?:an|en)) (?:är |er )?under (?:uppbyggnad|"
            r"konstruktion|"
            r"opbygning|oppbygging|arbete|arbejde)",
            r"(?:sivu|sivusto|kotisivu)(?:mme|t)? (?:on|ovat) (?:rakenteilla|työn alla)",
            r"(?:stránk[ay]|web) (?:je |jsou |sú )?ve? výstavb[eě]|(?:a |az )?(?:weboldal|honlap|oldal) "
            r"(?:fejlesztés|"
            r"építés) alatt(?: áll)?|η (?:ιστο)?σελίδα είναι υπό κατασκευή|υπό κατασκευή|сайт "
            r"(?:знаходиться )?"
            r"(?:у|в) розробці|site[- ]?ul (?:este )?în (?:construcție|lucru)|(?:website|trang web) đang "
            r"(?:được )?"
            r"xây dựng|situs (?:ini )?sedang dalam (?:pengembangan|perbaikan|pembangunan)",
            r"(?:site|page) (?:web )?(?:arrive |sera )?(?:bientôt|prochainement) (?:en ligne|disponible)",
            r"sitio (?:web )?en construcci[óo]n|(?:site|página)? ?em constru[çc][ãa]o",
            r"(?:webseite|seite|website|homepage) (?:befindet sich |ist )?(?:derzeit )?im aufbau",
            r"hier entsteht (?:in kürze |bald )?(?:eine|unsere) (?:neue )?(?:web|internet|home)\w+",
            r"(?:sito|pagina) (?:web )?(?:è )?in (?:costruzione|allestimento)|website in opbouw",
            r"сайт (?:находится )?в разработке|(?:web )?site\w* yapım aşamasında(?:dır)?|^yapım "
            r"aşamasında(?:dır)?$",
            r"strona (?:internetowa )?(?:jest )?w (?:budowie|przebudowie|przygotowaniu)",
            r"^(?:ただいま|現在)?(?:当)?(?:ホームページ|サイト|ウェブサイト|webサイト)?は?(?:現在)?"
            r"(?:準備中|工事中|制作中|建設中)(?:です|となります)?\W*$|^近日公開(?:予定)?(?:です)?\W*$",
            r"^(?:网站|本站)?(?:正在)?(?:建设|维护)中\W*$|^сайт скоро откроется\W*$",
            r"(?:الموقع|موقعنا|الصفحة) (?:قيد|تحت|في طور) (?:الإنشاء|الانشاء|التطوير|البناء|الإنجاز|"
            r"الانجاز|الإعداد)",
        ),
        beside=80,
    ),
    Sign(
        Reason.DEFAULT_PAGE,
        any_of(r"^default page$|\bpage par défaut$", r"^(?:it works!?)(?: it works!?)?$"),
        beside=60,
    ),
    # What is not said to be the site: it may be the march, the camp or the honey.
    Sign(
        Reason.DEFAULT_PAGE,
        any_of(
            r"^iis\d*$|^(?:page )?under construction\W*$|^en construction\W*$",
            r"^(?:bientôt|prochainement)\W*$",
            r"(?:we.re )?(?:coming soon|launching soon|opening soon)\W*$",
            r"^we (?:are|will be) (?:launching|opening) soon",
            r"(?:bientôt|prochainement) disponible\W*$",
            r"^(?:قريبا|قريباً|(?:الموقع|موقعنا) قريبا)\W*$",
            r"^(?:próximamente|em breve|prossimamente|demnächst|binnenkort|çok yakında|wkrótce)\W*$",
        ),
        beside=ALONE,
    ),
    Sign(
        Reason.NOT_FOUND,
        any_of(
            r"blog (?:not found|introuvable|(?:you (?:were|are) looking for )?does not exist)|"
            r"(?:the )?blog (?:at \S+ )?has been removed",
            r"(?:ce|le) blog (?:\S+ à \S+ )?a été (?:supprimé|fermé)",
            r"(?:لم يتم العثور على|تمت? (?:إزالة|حذف)) (?:هذه )?المدونة",
            r"(?:ce|le) (?:site|blog) n.existe (?:pas|plus)|ce site a été (?:supprimé|fermé)",
            r"ce site n.est pas (?:encore )?publié",
            r"(?:web)?site (?:does not exist|no longer exists|has been (?:deleted|removed))",
        ),
        beside=80,
    ),
)
