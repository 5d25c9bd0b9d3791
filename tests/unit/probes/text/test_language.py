"""Language detection of texts and titles."""

import pytest

from probes.text import language as text_language

TEXTS = {
    "fr": (
        "L'association accompagne les familles du quartier depuis vingt ans et aide les enfants "
        "dans leurs devoirs avec des bénévoles qui viennent chaque samedi pour nous soutenir."
    ),
    "en": (
        "Our volunteers have worked with the families of the old town for twenty years, and on "
        "Saturdays they help the children with their homework in the library."
    ),
    "ar": "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ",
    "es": (
        "La asociación acompaña a las familias del barrio desde hace veinte años y los sábados "
        "ayuda a los niños con los deberes en la biblioteca, con el apoyo de nuestros voluntarios."
    ),
    "de": (
        "Der Verein hilft seit zwanzig Jahren den Familien im Viertel, und jeden Samstag lernen "
        "wir mit den Kindern in der Bücherei. Spenden sind für uns wichtig."
    ),
    "it": (
        "L'associazione segue le famiglie del paese da vent'anni e il sabato aiuta gli scolari "
        "nella biblioteca, con il sostegno della comunità che è più vicina."
    ),
    "pt": (
        "A associação acompanha as famílias do bairro há vinte anos e aos sábados ajuda as "
        "crianças na biblioteca. O apoio dos nossos voluntários não é pago, e nós agradecemos por "
        "isso."
    ),
    "nl": (
        "De vereniging helpt al twintig jaar de gezinnen van de buurt en wij leren op zaterdag met "
        "de kinderen in het buurthuis. Het is voor ons van belang dat ook de ouders niet thuis "
        "blijven."
    ),
    "id": (
        "Situs ini adalah tempat terbaik untuk anda yang ingin bermain dengan aman dan mudah di "
        "dalam satu akun, dari rumah atau di mana saja, tidak ada biaya."
    ),
    "tr": (
        "Derneğimiz yirmi yıldır mahallenin çocukları için ders veriyor ve her cumartesi "
        "kütüphanede bir araya geliyor. Bu çalışma çok önemli, sizin desteğiniz ile daha da "
        "büyüyor."
    ),
    "vi": (
        "Chúng tôi là một trong những trang của Việt Nam với nhiều trò chơi cho người chơi, và "
        "không có phí tại đây để các bạn tham gia."
    ),
    "ja": "私たちは地域の子どもたちの学習を二十年にわたり支援しています。",
    "zh": "二十年来我们的志愿者一直帮助社区的孩子和母亲学习。",
    "th": "เราช่วยเหลือเด็กและครอบครัวในชุมชนมายี่สิบปีแล้ว",
    "ru": "Наш клуб двадцать лет учит детей играть в шахматы.",
    "ko": "우리는 이십 년 동안 마을의 아이들을 돕고 있습니다.",
    "tzm": "ⵜⴰⵎⵙⵎⵓⵏⵜ ⵏ ⵓⵙⵏⴼⵍⵓⵍ ⴷ ⵜⵎⵓⵙⵏⵉ",
    "fa": "این انجمن از بیست سال پیش برای کمک به خانواده های محله کار می کند و شما را دعوت می کند",
}


@pytest.mark.parametrize("language", TEXTS)
def test_language_is_detected_by_script_and_stop_words(language: str) -> None:
    assert text_language.detect_language(TEXTS[language]) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Annour",
        "2026 © 05 22 00 00 00",
        "Contact Blog Photos Agenda Documents Presse",
        "!!! ★★★",
        "\x00" * 99,
    ],
)
def test_unclear_text_has_no_language(text: str) -> None:
    assert text_language.detect_language(text) == ""


def test_names_in_another_script_do_not_change_language() -> None:
    assert text_language.detect_language(TEXTS["fr"] + " جمعية النور") == "fr"
    assert text_language.detect_language(TEXTS["ar"] + " Association Annour, Salé") == "ar"


@pytest.mark.parametrize(
    ("declared", "code"),
    [("fr-FR", "fr"), ("AR", "ar"), ("ms_MY", "id"), ("", ""), ("français", "")],
)
def test_declared_language_is_normalized(declared: str, code: str) -> None:
    assert text_language.normalize_language_code(declared) == code


@pytest.mark.parametrize(
    ("title", "language"),
    [
        ("激安ブランド 送料無料 通販", "ja"),
        ("สล็อตเว็บตรง แตกง่าย", "th"),
        ("Situs ini yang terpercaya", "id"),
        ("Annour", ""),
    ],
)
def test_title_language_needs_few_words(title: str, language: str) -> None:
    assert text_language.detect_language(title, 2) == language
