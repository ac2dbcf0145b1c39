"""How does one product say this traffic wish?"""
